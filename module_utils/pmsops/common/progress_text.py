# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A progress file as a line for people; the module that writes the file does not need this."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.pmsops.common.progress import size


def describe(state: dict[str, Any]) -> str:
    """Return a progress file's content as a line for people."""
    parts = [state["phase"]]
    done, total = state.get("done", 0), state.get("total", 0)
    if state.get("unit") == "bytes":
        if done:
            rate = done / max(state["phase_seconds"], 0.1)
            parts.append(f"{size(done)}" + (f" of about {size(total)}" if total else ""))
            parts.append(f"{size(rate)}/s")
            if total > done and not state.get("expected_seconds"):
                parts.append(f"about {(total - done) / max(rate, 1):.0f} s left")
    elif total:
        parts.append(f"{done} of {total} {state['unit']}")
    if state.get("note"):
        parts.append(state["note"])
    elapsed, expected = state["elapsed_seconds"], state.get("expected_seconds") or 0
    parts.append(f"{elapsed:.0f} s so far")
    if expected > elapsed:
        parts.append(f"about {expected - elapsed:.0f} s left until all is done")
    elif expected:
        parts.append(f"more than the {expected:.0f} s that it was expected to take")
    return ", ".join(parts)
