# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small backup set, for everything but a restore."""

from __future__ import annotations

from ansible.module_utils.pmsops.common import files
from ansible.module_utils.pmsops.repository import manifest


def make_set(root, keys, name="2026-11-22_0600", contents=None, **facts):
    """Write a small set whose dump is not one of pg_dump: for everything but a restore."""
    folder = root / name
    (folder / "app.pgdump").mkdir(parents=True)
    for path, text in (contents or {"app.pgdump/toc.dat": "toc", "a.csv": "id\n1\n"}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        (folder / path).chmod(0o400)
    recorded = {
        path: {"size_bytes": (folder / path).stat().st_size, "sha256": files.sha256(folder / path)}
        for path in files.walk(folder)
    }
    document = {field: {} for field in manifest.REQUIRED} | {
        "schema_version": 1,
        "id": name,
        "dump": {"path": "app.pgdump"},
        "files": recorded,
        "snapshot_at": f"{name[:10]}T06:00:00Z",
    }
    document |= facts
    manifest.write(folder, document, keys)
    return folder
