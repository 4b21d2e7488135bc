# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Definitions as PostgreSQL prints them, taken apart into expressions and the text around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_QUOTED = r""""(?:[^"]|"")*"|'(?:[^']|'')*'"""
_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
NAMES = rf"{_NAME}(?:\.{_NAME})*"
_CALL = re.compile(rf"{NAMES}\(")
# What IN over a varchar becomes once its print was parsed; of which a set of schema 1 or 2 has, of
# a function, the hash before.
_TEXT = r"\(('(?:[^']|'')*'::character varying(?:\(\d+\))?)\)::text"
_TEXTS = re.compile(rf"ARRAY\[{_TEXT}(?:, {_TEXT})*\]")
# Stands for an expression in the text around; no definition holds this character.
HOLE = "\0"


@dataclass
class Definition:
    """A definition: its text with holes, and the expressions that belong into them."""

    text: str = ""
    expressions: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Append text that is compared letter by letter."""
        self.text += text

    def add_expression(self, text: str) -> None:
        """Append an expression."""
        self.text += HOLE
        self.expressions.append(text)


def apart(kind: str, text: str) -> Definition:
    """Return the definition of an object of *kind*, one of the facts, taken apart."""
    if kind == "constraints":
        return _constraint(text)
    if kind == "indexes":
        return _listed(text, r" USING \w+ (?=\()")
    if kind == "triggers":
        return _condition(text, r" WHEN (?=\()")
    if kind == "tables":
        return _listed(text, r"^\w+ (?=\()")
    if kind == "statistics_objects":
        return _statistics(text)
    return Definition(HOLE, [text])


def moved(text: str, before: str, schema: str) -> str:
    """Give the first name after the pattern *before* another schema, or one where it has none.

    Nothing inside quotes or parentheses counts.
    """
    found = _find(text, rf"{before}(?P<name>{NAMES})")
    if found is None:
        return text
    start, end = found.span("name")
    bare = re.findall(_NAME, found["name"])[-1]
    return f"{text[:start]}{schema}.{bare}{text[end:]}"


def before_a_restore(text: str) -> str:
    """Return *text*, printed by a restored copy, as the original prints it in the common case."""
    return _TEXTS.sub(
        lambda found: f"(ARRAY[{', '.join(re.findall(_TEXT, found[0]))}])::text[]", text
    )


def is_one(text: str) -> bool:
    """Return whether *text* is one expression or statement, with nothing hidden behind it."""
    depth = 0
    for found in re.finditer(rf"{_QUOTED}|['\"();]|--|/\*", text.removesuffix(";")):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth < 0 or found[0] in ("'", '"', "--", "/*") or (found[0] == ";" and not depth):
            return False
    return depth == 0


def _constraint(text: str) -> Definition:
    if text.startswith("EXCLUDE "):
        return _listed(text, r" USING \w+ (?=\()")
    return _condition(text, r"^CHECK (?=\()")


def _condition(text: str, before: str) -> Definition:
    """Take out the parenthesized expression after *before*, where there is one."""
    made = Definition()
    found = _find(text, before)
    if found is None:
        return Definition(text)
    end = _closing(text, found.end())
    made.add(text[: found.end()])
    made.add_expression(text[found.end() : end])
    made.add(text[end:])
    return made


def _listed(text: str, before: str) -> Definition:
    """Take out the expressions of the parenthesized list after *before*, and the predicate."""
    found = _find(text, before)
    if found is None:
        return Definition(text)
    made = Definition()
    made.add(text[: found.end() + 1])
    end = _elements(text, found.end() + 1, made)
    position = end + len(")")
    made.add(text[end:position])
    predicate = _find(text[position:], r" WHERE ")
    if predicate is None:
        made.add(text[position:])
        return made
    start = position + predicate.end()
    # The predicate of an exclusion constraint has parentheses and may have a clause behind it.
    end = _closing(text, start) if text.startswith("(", start) else len(text)
    made.add(text[position:start])
    made.add_expression(text[start:end])
    made.add(text[end:])
    return made


def _statistics(text: str) -> Definition:
    found = _find(text, r" ON ")
    if found is None:
        return Definition(text)
    made = Definition()
    made.add(text[: found.end()])
    made.add(text[_elements(text, found.end(), made) :])
    return made


def _elements(text: str, position: int, made: Definition) -> int:
    """Take apart a list up to its end, and return where that is.

    An expression has parentheses or is a call; a column, and what follows either, is plain text.
    """
    while True:
        call = _CALL.match(text, position)
        if call or text.startswith("(", position):
            end = _closing(text, call.end() - 1 if call else position)
            made.add_expression(text[position:end])
            position = end
        stop = next(
            (each.start() for each in _outside(text, r", |\)|\sFROM ", position)), len(text)
        )
        made.add(text[position:stop])
        if not text.startswith(", ", stop):
            return stop
        made.add(", ")
        position = stop + 2


def _find(text: str, pattern: str) -> re.Match[str] | None:
    return next(_outside(text, pattern), None)


def _outside(text: str, pattern: str, position: int = 0) -> Iterator[re.Match[str]]:
    """Yield the matches that are outside of quotes and parentheses."""
    scanner = re.compile(rf"(?P<quoted_>{_QUOTED})|(?P<wanted_>{pattern})|[()]")
    depth = 0
    while found := scanner.search(text, position):
        position = found.end()
        if found["quoted_"]:
            continue
        if found["wanted_"] is not None and depth == 0:
            yield found
        depth += (found[0] == "(") - (found[0] == ")")


def _closing(text: str, start: int) -> int:
    """Return the position after the parenthesis that closes the one at *start*."""
    depth = 0
    for found in re.finditer(rf"{_QUOTED}|[()]", text[start:]):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth == 0:
            return start + found.end()
    return len(text)
