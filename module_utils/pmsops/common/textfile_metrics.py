# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.pmsops.common import files


@dataclass(frozen=True)
class Gauge:
    """One gauge with its samples: labels to value."""

    name: str
    help: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)


def render(gauges: Iterable[Gauge]) -> str:
    """Return the text exposition format; a gauge without samples is left out.

    Source: Prometheus' "Exposition formats".
    """
    lines = []
    for gauge in gauges:
        if not gauge.samples:
            continue
        lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
        for labels, value in gauge.samples:
            text = ",".join(f'{name}="{_escaped(label)}"' for name, label in labels.items())
            lines.append(f"{gauge.name}{{{text}}} {value:.15g}")
    return "\n".join(lines) + "\n"


def write(folder: Path, gauges: Iterable[Gauge], name: str) -> Path:
    """Replace the file, so that a collector reads the old one or the new one; return its path."""
    files.make_public_folder(folder)
    path = folder / name
    files.replace(path, render(gauges).encode(), mode=0o644)
    return path


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
