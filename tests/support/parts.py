# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Compose project that is no real one, and sets with its files as parts."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from ansible.module_utils.pmsops.backup import sealing
from ansible.module_utils.pmsops.common.progress import Progress
from ansible.module_utils.pmsops.parts import taking
from ansible.module_utils.pmsops.repository import encryption, manifest, set_parts
from ansible.module_utils.pmsops.services import docker_engine

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = "hunter2"


def container(service, folder, mounts=()):
    labels = {
        "com.docker.compose.service": service,
        "com.docker.compose.project.working_dir": str(folder),
        "com.docker.compose.project.config_files": str(folder / "docker-compose.yml"),
    }
    mounts = [{"Type": "bind", "Source": str(a), "Destination": b} for a, b in mounts]
    attrs = {"Config": {"Image": f"{service}:1"}, "Image": "sha256:1", "Mounts": mounts}
    return SimpleNamespace(name=service, labels=labels, attrs=attrs)


def project(tmp_path, monkeypatch):
    """Return the folder of a Compose project with secrets in its files; the engine knows it."""
    folder = tmp_path / "pms"
    (folder / "grafana" / "dashboards").mkdir(parents=True)
    (folder / "code").mkdir()
    for name, text in {
        "docker-compose.yml": "services: {api: {image: pms:1, env_file: [api.env]}}\n",
        ".env": f"POSTGRES_PASSWORD={SECRET}\n",
        "api.env": f"X={SECRET}\n",
        "redis.conf": "maxmemory 256mb\n",
        "grafana/dashboards/risk.json": '{"title": "Risk"}\n',
        "grafana/datasource.yml": f"secureJsonData: {{password: {SECRET}}}\n",
        "code/main.py": "print()\n",
    }.items():
        (folder / name).write_text(text)
    engine = SimpleNamespace(
        containers=SimpleNamespace(
            list=lambda **_: [
                container("api", folder, [(folder / "code", "/srv")]),
                container("grafana", folder, [(folder / "grafana", "/g")]),
                container("redis", folder, [(folder / "redis.conf", "/etc/redis.conf")]),
            ]
        ),
        images=SimpleNamespace(get=lambda _: SimpleNamespace(attrs={"RepoDigests": []})),
    )
    monkeypatch.setattr(docker_engine, "engine", lambda: engine)
    return folder


def backup(tmp_path, name="2026-11-30_1200", recipients=(), earlier=(), **wanted):
    """Take the parts into a set and seal it; return its folder and its parts."""
    root = tmp_path / "backups"
    partial = root / name
    (partial / "app.pgdump").mkdir(parents=True)
    (partial / "app.pgdump" / "toc.dat").write_text("toc")
    wanted = taking.Wanted(**({"names": ("grafana", "compose"), "compose_project": "pms"} | wanted))
    keys = encryption.parse_recipients(recipients) if recipients else []
    taker = taking.Taker(wanted, root, partial, tuple(recipients), keys, lambda: NOON)
    document = {field: {} for field in manifest.REQUIRED} | {
        "schema_version": manifest.SCHEMA_VERSION,
        "fingerprint_formula": 3,
        "id": name,
        "dump": {"path": "app.pgdump"},
        "server": {"size_bytes": 1},
        "snapshot_at": f"{name[:10]}T12:00:00Z",
        "database_name": "macro_trading",
        set_parts.FIELD: taker.take(list(earlier)),
    }
    sealing.seal(
        partial,
        document,
        list(earlier),
        keys=tmp_path / "keys",
        progress=Progress(tmp_path / "progress"),
        now=lambda: NOON,
    )
    return partial, document[set_parts.FIELD]
