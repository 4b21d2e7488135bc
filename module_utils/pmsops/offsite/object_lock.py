# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an S3 bucket keeps what was deleted in it: object lock holds each version for its time.

In such a bucket a deletion succeeds and only hides the object, and restic sees no versions. So the
versions are asked for here, and each is tried to be deleted, with the credentials that restic has.
Source: Amazon S3, "How S3 Object Lock works" and "Signature Version 4".
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from ansible.module_utils.pmsops.common.errors import OpsError
from ansible.module_utils.pmsops.common.timestamps import UTC
from ansible.module_utils.pmsops.offsite.server import connect
from ansible.module_utils.pmsops.offsite.site import Site

KEY, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
REFUSED = b"<Code>AccessDenied</Code>"
BYPASS = "x-amz-bypass-governance-retention"
REGIONS = ("AWS_DEFAULT_REGION", "AWS_REGION")
NOTHING = hashlib.sha256(b"").hexdigest()
_VERSION = re.compile(rb"<Version>(.*?)</Version>", re.DOTALL)
_OF_AMAZON = re.compile(r"s3[.-]([a-z0-9-]+)\.amazonaws\.com")


@dataclass(frozen=True)
class Bucket:
    """A bucket as its site names it, with the path of the repository in it."""

    site: Site
    host: str
    name: str
    prefix: str

    @classmethod
    def of(cls, site: Site) -> Bucket | None:
        """Return the bucket of a site; None if it is none of S3 with keys of its own."""
        kind, _, rest = site.url.partition(":")
        if kind != "s3" or not {KEY, SECRET} <= site.secrets().keys():
            return None
        found = urlsplit(rest if "://" in rest else f"https://{rest}")
        name, _, prefix = found.path.strip("/").partition("/")
        return cls(site, found.netloc.rpartition("@")[2], name, prefix) if name else None

    def holds(self, snapshot: str) -> bool:
        """Tell whether the bucket holds a snapshot that was deleted: no version of it goes.

        :raises OpsError: offsite.refused, offsite.failed, offsite.unreachable
        """
        key = "/".join(filter(None, (self.prefix, "snapshots", snapshot)))
        status, answer = self._call("GET", "", {"versions": "", "prefix": key})
        if status != 200:
            raise OpsError(
                f"Site {self.site.name} does not tell the versions of its objects: status"
                f" {status}.",
                "Allow these credentials s3:ListBucketVersions, so that it can be told whether"
                " the bucket keeps what is deleted.",
                code="offsite.refused",
            )
        versions = [_version(each) for each in _VERSION.findall(answer)]
        return bool(versions) and not any(self._deletes(key, each) for each in versions)

    def _deletes(self, key: str, version: str) -> bool:
        """Try to delete a version; return whether it went.

        Who may set the lock of mode GOVERNANCE aside, does.
        """
        status, answer = self._call("DELETE", key, {"versionId": version}, {BYPASS: "true"})
        if status == 403 or REFUSED in answer:
            return False
        if status not in (200, 204):
            raise OpsError(
                f"Site {self.site.name} answered the deletion of a version with status {status}.",
                "Look at the site, then try again.",
                code="offsite.failed",
            )
        return True

    def _call(
        self, method: str, key: str, query: Mapping[str, str], more: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of a request that is signed."""
        path = "/" + quote("/".join(filter(None, (self.name, key))))
        line = "&".join(
            f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in sorted(query.items())
        )
        headers = self._signed(method, path, line, datetime.now(UTC), more or {})
        try:
            with closing(connect(self.site)) as server:
                server.request(method, f"{path}?{line}", headers=headers)
                answer = server.getresponse()
                return answer.status, answer.read()
        except OSError as exc:
            raise OpsError(
                f"Site {self.site.name} did not answer: {exc}.",
                "Look at the network and at the site, then try again.",
                code="offsite.unreachable",
            ) from exc

    def _signed(
        self, method: str, path: str, query: str, now: datetime, more: Mapping[str, str]
    ) -> dict[str, str]:
        secrets = self.site.secrets()
        day, moment = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
        headers = {"host": self.host, "x-amz-content-sha256": NOTHING, "x-amz-date": moment, **more}
        if TOKEN in secrets:
            headers["x-amz-security-token"] = secrets[TOKEN]
        headers = dict(sorted(headers.items()))
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join((method, path, query, lines, names, NOTHING))
        scope = f"{day}/{self._region()}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        key = f"AWS4{secrets[SECRET]}".encode()
        for part in scope.split("/"):
            key = _hmac(key, part)
        return headers | {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={secrets[KEY]}/{scope},"
            f" SignedHeaders={names}, Signature={_hmac(key, text).hex()}"
        }

    def _region(self) -> str:
        given = [each.removeprefix("s3.region=") for each in self.site.options if "region" in each]
        given += [self.site.secrets()[name] for name in REGIONS if name in self.site.secrets()]
        given += [match[1] for match in _OF_AMAZON.finditer(self.host)]
        return given[0] if given else "us-east-1"


def _version(text: bytes) -> str:
    found = re.search(rb"<VersionId>(.*?)</VersionId>", text)
    return html.unescape(found[1].decode()) if found else ""


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
