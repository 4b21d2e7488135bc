# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A time stamping authority: a certificate of a test's own, and `openssl ts` behind HTTP."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIGURATION = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
"""


class Authority:
    """One authority; ``url`` is its address, ``ca_file`` has its root certificate."""

    def __init__(
        self,
        folder: Path,
        *,
        days: int = 30,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Make certificates for *days*, where the folder has none; *environment*: of openssl."""
        folder.mkdir(parents=True, exist_ok=True)
        self._days = str(days)
        self._environment = environment
        self.folder = folder
        self.ca_file = folder / "root.pem"
        self.answers = True
        (folder / "tsa.cnf").write_text(CONFIGURATION.format(folder=folder))
        if not (folder / "tsa.pem").exists():
            (folder / "serial").write_text("01\n")
            self._certificates()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def openssl(self, *arguments: str, given: bytes = b"") -> bytes:
        """Run openssl in the authority's folder."""
        done = subprocess.run(
            ["openssl", *arguments],
            input=given,
            capture_output=True,
            cwd=self.folder,
            env=self._environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def _certificates(self) -> None:
        new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        new = (*new, "-days", self._days)
        common = ("-config", "tsa.cnf", "-sha256")
        root = ("-x509", "-extensions", "root", "-subj", "/CN=Root of a test")
        self.openssl("req", *root, *new, *common, "-keyout", "root.key", "-out", "root.pem")
        leaf = ("-x509", "-extensions", "leaf", "-subj", "/CN=Authority of a test")
        signed = ("-CA", "root.pem", "-CAkey", "root.key")
        self.openssl("req", *leaf, *new, *common, *signed, "-keyout", "tsa.key", "-out", "tsa.pem")

    def _reply(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        # With -chain, openssl writes certificates in an order that DER forbids.
        signer = ("-signer", "tsa.pem", "-inkey", "tsa.key")
        self.openssl(
            "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply", *signer
        )
        return (self.folder / "reply").read_bytes()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                if not authority.answers:
                    self.send_error(503)
                    return
                reply = authority._reply(query)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        return Handler
