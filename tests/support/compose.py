# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stand-ins for the services of a Compose project and their containers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ansible.module_utils.pmsops.services.manager import Services

HEALTHY = {"Status": "running", "Health": {"Status": "healthy"}}


class Container:
    """A container: its state, the state after each verb, and the verbs it was given."""

    def __init__(
        self,
        state: dict[str, Any] | None = None,
        *,
        after: dict[str, Any] | Exception | None = None,
        on: Callable[[str], object] = lambda verb: None,
        port: str | None = None,
        shell: bool = True,
    ) -> None:
        self.shell = shell
        bindings = {"8000/tcp": [{"HostPort": port}]} if port else None
        self.attrs = {"State": state or HEALTHY, "HostConfig": {"PortBindings": bindings}}
        self.after = after or HEALTHY
        self.on = on
        self.called: list[str] = []

    @property
    def status(self) -> str:
        """Return Docker's word for the state."""
        return str(self.attrs["State"]["Status"])

    def reload(self) -> None:
        """Read the state again."""

    def logs(self, **_options: Any) -> bytes:
        """Return the log."""
        return b"first\nlast words\n"

    def start(self) -> None:
        """Start it."""
        self._change("start")

    def restart(self, **_options: Any) -> None:
        """Restart it."""
        self._change("restart")

    def unpause(self) -> None:
        """Unpause it."""
        self._change("unpause")

    def stop(self, **_options: Any) -> None:
        """Stop it."""
        self.called.append("stop")
        self.attrs["State"] = {"Status": "exited", "ExitCode": 0}

    def exec_run(self, words: list[str], *, user: str) -> SimpleNamespace:
        """Run a command inside, as root; 126 is what the engine says where there is no shell."""
        assert user == "0"
        self.called.append(words[-1])
        if self.shell:
            self.on(words[-1])
        return SimpleNamespace(exit_code=0 if self.shell else 126, output=b"")

    def _change(self, verb: str) -> None:
        self.called.append(verb)
        if isinstance(self.after, Exception):
            raise self.after
        self.attrs["State"] = self.after
        self.on(verb)


@dataclass(frozen=True)
class ComposeServices(Services):
    """Services whose containers a test made."""

    made: dict[str, Container] = field(default_factory=dict)

    def containers(self) -> list[tuple[str, Any]]:
        """Return name and container of each."""
        return [(name, self.made[name]) for name in self.names]


def compose(**made: Container) -> ComposeServices:
    """Return a project of these services; ``_`` in a name stands for ``-``."""
    named = {name.replace("_", "-"): container for name, container in made.items()}
    parts = {"dagster": "dagster-webserver", "daemon": "dagster-daemon"}
    return ComposeServices("compose", tuple(named), "p", parts=parts, made=named)
