# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Metrics for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.pmsops.common import files

_SYSTEM = re.compile(r'^[a-z_]+\{system="((?:[^"\\]|\\.)*)"', re.MULTILINE)


@dataclass(frozen=True)
class Gauge:
    """One gauge with its samples: labels to value."""

    name: str
    help: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)


def render(gauges: Iterable[Gauge], system: str = "") -> str:
    """Return the text exposition format; a gauge without samples is left out.

    Each sample gets the label *system*, so that two systems of one machine are not the same series.

    Source: Prometheus' "Exposition formats".
    """
    lines = []
    for gauge in gauges:
        if not gauge.samples:
            continue
        lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
        for labels, value in gauge.samples:
            all_labels = ({"system": system} if system else {}) | labels
            text = ",".join(f'{name}="{_escaped(label)}"' for name, label in all_labels.items())
            lines.append(
                f"{gauge.name}{{{text}}} {value:.15g}" if text else f"{gauge.name} {value:.15g}"
            )
    return "\n".join(lines) + "\n"


def write(folder: Path, gauges: Iterable[Gauge], name: str, system: str) -> Path:
    """Replace the file, so that a collector reads the old one or the new one; return its path."""
    files.make_public_folder(folder)
    path = path_of(folder, name, system)
    files.replace(path, render(gauges, system).encode(), mode=0o644)
    return path


def path_of(folder: Path, name: str, system: str = "") -> Path:
    """Return the file of a system: NAME, or NAME.SYSTEM where another system has the former.

    Two systems may share a folder of the collector, and neither replaces the gauges of the other.
    """
    stem, dot, suffix = name.rpartition(".")
    own = folder / f"{stem}.{re.sub('[^A-Za-z0-9_-]+', '_', system)}{dot}{suffix}"
    return (
        own if system and (own.exists() or _is_of_another(folder / name, system)) else folder / name
    )


def _is_of_another(path: Path, system: str) -> bool:
    """Tell whether the file names another system. A file of an older release names none."""
    try:
        named = _SYSTEM.search(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return named is not None and named[1] != _escaped(system)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
