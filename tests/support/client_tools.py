# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL's client tools out of an image, made to run on this host: no container per call.

They come with the libraries they need, loader included, so the host's own distribution does not
matter. They are unpacked once per image, into .cache/client-tools, for all processes of the tests.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from ansible.module_utils.pmsops.postgresql.connection import Database

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "client-tools"
TOOLS = ("pg_dump", "pg_dumpall", "pg_restore", "psql", "pg_amcheck")
COLLECT = r"""
set -e
mkdir -p /tmp/pack/lib /tmp/pack/tools && cd /tmp/pack
for tool in pg_dump pg_dumpall pg_restore psql pg_amcheck; do
  cp /usr/lib/postgresql/*/bin/$tool tools/
  for each in $(ldd tools/$tool | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p'); do cp -Ln $each lib/; done
done
cp -L /lib64/ld-linux-*.so.* loader
tar -c lib tools loader
"""
WRAPPER = """#!/bin/sh
root=${{0%/bin/*}}
exec "$root/loader" --argv0 "$0" --library-path "$root/lib" "$root/tools/{tool}" "$@"
"""


@functools.cache
def of_image(image: str) -> Path:
    """Return the folder of an image's client tools on this host."""
    asked = ["docker", "image", "inspect", "--format", "{{.Id}}", image]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    root = CACHE / shown.stdout.strip().rpartition(":")[2][:16]
    if not root.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=CACHE, prefix=".partial-"))
        _unpack(image, made)
        made.chmod(0o755)
        try:
            made.rename(root)
        except OSError:  # another process was quicker
            shutil.rmtree(made)
    return root / "bin"


def _unpack(image: str, folder: Path) -> None:
    """Fill a folder with the tools, the libraries, and a wrapper for each tool."""
    packed = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "sh", image, "-c", COLLECT],
        capture_output=True,
        check=True,
        timeout=120,
    )
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True, timeout=120)
    (folder / "bin").mkdir()
    for tool in TOOLS:
        # pg_dumpall looks for pg_dump beside what it was called by (argv[0]): the wrappers.
        path = folder / "bin" / tool
        path.write_text(WRAPPER.format(tool=tool))
        path.chmod(0o755)


def reached_from_here(database: Database, folder: Path) -> Database:
    """Return a database with the client tools in a folder of this host, not its container's.

    A set by them costs a tenth of a second of a processor; each container of tools costs half a
    second and more.
    """
    return replace(database, access="host", container=None, bin_dir=str(folder))
