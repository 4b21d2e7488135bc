# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The answer of another engine's command, read: documents, told apart by their shape.

Most are JSON. What no engine says in JSON is a text of lines (external_texts.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ansible.module_utils.pmsops.pitr import external_texts
from ansible.module_utils.pmsops.pitr.external_catalogue import WALG, Catalogue, by_age
from ansible.module_utils.pmsops.pitr.external_formats import SHAPES

# WAL-G says this in words, in place of a JSON that is empty.
NONE = "no backups found"
# Lines up to the next document, which is of the other kind or begins with a stanza.
_TEXT = re.compile(r"[^\n]*(?:\n(?![\[{])[^\n]*)*")


class Unreadable(Exception):
    """Why an answer cannot be read; *json* if it is none of the known shapes, else no JSON."""

    def __init__(self, why: str, *, json: bool) -> None:
        super().__init__(why)
        self.json = json


def read(text: str) -> list[Catalogue]:
    """Return the catalogue of each server that an answer speaks of.

    An answer may be several documents, one after the other; each begins on a line of its own.

    :raises Unreadable: if it is no JSON, or none of the known shapes
    """
    if not text.strip() or (NONE in text.lower() and not text.lstrip().startswith(("[", "{"))):
        return [Catalogue(WALG if text.strip() else "")]
    found: dict[tuple[str, str], Catalogue] = {}
    for document in _documents(text):
        for each in _catalogues(document):
            key = each.program, each.name
            found[key] = _joined(found[key], each) if key in found else each
    return list(_with_its_files(found).values()) or [Catalogue("")]


def _with_its_files(found: dict[tuple[str, str], Catalogue]) -> dict[tuple[str, str], Catalogue]:
    """Return the catalogues with a listing of files as a part of the only stanza, if it is one."""
    listing = next((key for key, each in found.items() if each.held and not each.name), None)
    stanzas = [key for key in found if listing and key[0] == listing[0] and key != listing]
    if listing and len(stanzas) == 1:
        found[stanzas[0]] = _joined(found[stanzas[0]], found.pop(listing))
    return found


def _documents(text: str) -> Iterator[Any]:
    decoder, at = json.JSONDecoder(), 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        if text[at] not in "[{" and (block := _TEXT.match(text, at)) and _is_known(block[0]):
            yield block[0].rstrip()
            at = block.end()
            continue
        try:
            document, at = decoder.raw_decode(text, at)
        except ValueError as exc:
            raise Unreadable(f"{exc}", json=False) from exc
        yield document


def _is_known(text: str) -> bool:
    return external_texts.is_verified(text) or external_texts.is_listing(text.rstrip())


def _catalogues(document: Any) -> list[Catalogue]:
    try:
        for fits, reader in SHAPES:
            if fits(document):
                return reader(document)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise Unreadable(f"{type(exc).__name__}: {exc}", json=True) from exc
    raise Unreadable(_outline(document), json=True)


def _joined(first: Catalogue, second: Catalogue) -> Catalogue:
    """Return two answers of one program about one server as one."""
    backups = {each.id: each for each in (*second.backups, *first.backups)}
    return replace(
        first,
        system=first.system or second.system,
        backups=by_age(backups.values()),
        newest_wal=max(filter(None, (first.newest_wal, second.newest_wal)), default=None),
        begin_wal=first.begin_wal or second.begin_wal,
        first_wal=first.first_wal or second.first_wal,
        missing=(*first.missing, *second.missing),
        problems=(*first.problems, *second.problems),
        held=tuple(sorted({*first.held, *second.held})),
        listed=first.listed or second.listed,
        read=first.read or second.read,
        damaged=(*first.damaged, *second.damaged),
    )


def _outline(document: Any) -> str:
    """Return the shape of a document in a few words, without its values."""
    if isinstance(document, list):
        return f"a list of {_outline(document[0])}" if document else "an empty list"
    if isinstance(document, dict):
        return f"an object with {', '.join(sorted(map(str, document))[:8]) or 'nothing'}"
    return f"a {type(document).__name__}"
