# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bucket that hides what is deleted and keeps its versions, and one that does not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.offsite.object_lock import Bucket
from ansible.module_utils.pmsops.offsite.site import Site

VERSION = "<Version><Key>copies/snapshots/abc</Key><VersionId>v&amp;1</VersionId></Version>"


@pytest.fixture
def site(tmp_path):
    """Return a function that gives the site of a bucket."""
    for name in ("password", "env"):
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "password").write_text("x")

    def made(url, **more):
        # The keys of Amazon's own examples
        keys = {
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        } | more
        (tmp_path / "env").write_text("".join(f"{n}={v}\n" for n, v in keys.items()))
        return Site("vault", url, tmp_path / "password", tmp_path / "env")

    return made


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_a_request_is_signed_as_amazon_s_examples_are(site, query, signature):
    bucket = Bucket(site("s3:s3.amazonaws.com/x"), "examplebucket.s3.amazonaws.com", "", "")
    found = bucket._signed("GET", "/", query, datetime(2013, 5, 24, tzinfo=UTC), {})
    assert found["Authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("url", "host", "name", "prefix"),
    [
        ("s3:https://vault:9000/fund/a/b", "vault:9000", "fund", "a/b"),
        ("s3:s3.eu-west-1.amazonaws.com/fund", "s3.eu-west-1.amazonaws.com", "fund", ""),
    ],
)
def test_a_bucket_is_read_from_its_url(site, url, host, name, prefix):
    found = Bucket.of(site(url))
    assert (found.host, found.name, found.prefix) == (host, name, prefix)
    assert found._region() == ("eu-west-1" if "eu-west" in url else "us-east-1")


@pytest.mark.parametrize("url", ["/srv/x", "rest:https://vault/x", "s3:https://vault/"])
def test_another_kind_of_site_has_no_bucket(site, url):
    assert Bucket.of(site(url)) is None


@pytest.mark.parametrize(
    ("listing", "deletion", "holds"),
    [
        ((200, VERSION), 403, True),
        ((200, VERSION), 204, False),
        ((200, ""), 204, False),  # no version was kept
        ((403, ""), 204, "offsite.refused"),
        ((200, VERSION), 503, "offsite.failed"),
    ],
)
def test_a_copy_is_held_where_no_version_of_it_goes(site, listing, deletion, holds):
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def answer(self, status, text=""):
            asked.append((self.command, self.path, self.headers))
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self):
            self.answer(*listing)

        def do_DELETE(self):
            self.answer(deletion)

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bucket = Bucket.of(
            site(f"s3:http://127.0.0.1:{server.server_port}/fund/copies", AWS_SESSION_TOKEN="t")
        )
        if isinstance(holds, str):
            with pytest.raises(OpsError) as caught:
                bucket.holds("abc")
            assert caught.value.code == holds
        else:
            assert bucket.holds("abc") is holds
        server.shutdown()
    assert asked[0][1] == "/fund?prefix=copies%2Fsnapshots%2Fabc&versions="
    if len(asked) > 1:
        method, path, headers = asked[1]
        assert (method, path) == ("DELETE", "/fund/copies/snapshots/abc?versionId=v%261")
        assert headers["x-amz-bypass-governance-retention"] == "true"
        assert headers["x-amz-security-token"] == "t"


def test_a_bucket_that_does_not_answer_is_named(site):
    with pytest.raises(OpsError) as caught:
        Bucket.of(site("s3:http://127.0.0.1:9/fund")).holds("abc")
    assert caught.value.code == "offsite.unreachable"
