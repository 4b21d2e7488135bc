# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One table of what worker nodes did, each by a stream of `ansible-runner worker`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmsops_cli.exit_status import COULD_NOT_RUN, Stop
from pmsops_cli.run_summary import RunSummary

if TYPE_CHECKING:
    from ansible.module_utils.pmsops.control.end_table import Row

ADVICE = "Give what `ansible-runner worker` wrote to standard output, a file for each worker."


def rows(streams: list[Path]) -> list[Row]:
    """Return what all parts came to for each system, worst first.

    :raises Stop: if a stream cannot be read, is none, or two have the same system.
    """
    found: dict[str, Row] = {}
    for path in streams:
        for each in _part(path):
            if each.system in found:
                raise Stop(f"{path} and another stream have {each.system}.", "Give each part once.")
            found[each.system] = each
    return sorted(found.values(), key=lambda each: (-each.status, not each.due, each.system))


def _part(path: Path) -> list[Row]:
    """Return the rows of one stream; its events are processed as ansible-runner does it.

    :raises Stop: if it is no stream, or the worker ran nothing.
    """
    import ansible_runner

    summary = RunSummary()

    def take(event: dict[str, Any]) -> bool:
        summary.take(event)
        return False  # so that ansible-runner keeps no file of it

    try:
        with path.open("rb") as stream, tempfile.TemporaryDirectory(prefix="pms-ops-") as folder:
            ended = ansible_runner.run(
                streamer="process",
                _input=stream,
                private_data_dir=folder,
                event_handler=take,
                quiet=True,
            )
    except OSError as exc:
        raise Stop(f"{path} cannot be read: {exc.strerror or exc}.", ADVICE) from exc
    if not summary.stats:
        why = " ".join(summary.errors) or f"it ended as {ended.status}"
        raise Stop(f"{path} has the end of no run: {why}", ADVICE, status=COULD_NOT_RUN)
    return summary.rows
