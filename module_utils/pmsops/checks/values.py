# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of an answer: read as a number or a moment, and shown to an operator."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ansible.module_utils.pmsops.common.timestamps import UTC, from_iso

SHOWN_CHARACTERS = 160
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")


class Unmet(Exception):
    """The answer is not what was expected; the text says what it is instead."""


def number(value: Any) -> Decimal:
    """Return a number. A text and a boolean are none.

    :raises Unmet: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise Unmet(f"{show(value)} is no number but {kind_of(value)}")
    converted = Decimal(str(value))
    if not converted.is_finite():
        raise Unmet(f"{value} is no number")
    return converted


def moment(value: Any) -> date | datetime:
    """Return a date, or an aware time stamp, of a value or its ISO 8601 text.

    :raises Unmet: for anything else.
    """
    if isinstance(value, str):
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
                return date.fromisoformat(value)
            value = from_iso(value.strip())
        except ValueError as exc:
            raise Unmet(f"{show(value)} is no date or time") from exc
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return value
    raise Unmet(f"{show(value)} is no date or time but {kind_of(value)}")


def comparable(value: Any) -> Any:
    """Return what ``<`` orders: a number, a date, a time stamp or a text.

    :raises Unmet: for a value that has no order.
    """
    if isinstance(value, str):
        try:
            return moment(value)
        except Unmet:
            return value
    if isinstance(value, (date, datetime)):
        return moment(value)
    return number(value)


def kind_of(value: Any) -> str:
    """Return the kind of a value in words: ``a list``."""
    if value is None:
        return "nothing"
    names = {bool: "a yes or no", dict: "a mapping", list: "a list", str: "a text"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else "a value")


def show(value: Any) -> str:
    """Return a value as an operator reads it, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _STAMP.fullmatch(value):
        value = from_iso(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        text = aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    elif isinstance(value, str):
        text = " ".join(value.split()) or "an empty text"
    elif isinstance(value, list) and all(isinstance(entry, (str, int, float)) for entry in value):
        text = ", ".join(map(str, value)) or "an empty list"
    elif isinstance(value, float):
        text = f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"
    else:
        text = plain(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def plain(value: Any) -> str:
    """Return a value as text, equal for equal values."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return str(value)
