# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts that the tool itself wrote into records, in the language of the report.

A text of a person, of another program, or of a message that is not here stays as it was written;
the page marks it as English.
"""

from __future__ import annotations

import re
from functools import cache

# A part in braces is a text of its own: translated if it is known, else as it was written.
PT = {
    "the server's other databases": "os demais bancos de dados do servidor",
    "Redis": "Redis",
    "Grafana's files": "os arquivos do Grafana",
    "the Compose files": "os arquivos do Compose",
    "the database": "o banco de dados",
    "other tables": "outras tabelas",
    "sections or checks that were left out": "seções ou verificações que foram omitidas",
    "{what}: not restored": "{what}: não restaurado",
    "{what}: not in the set": "{what}: fora da cópia",
    "{what}: not part of this system": "{what}: não faz parte deste sistema",
    "checks without an answer: {ids} and {count} more": "verificações sem resposta: {ids} e mais"
    " {count}",
    "checks without an answer: {ids}": "verificações sem resposta: {ids}",
    "{path}: {why}, and the set is not encrypted": "{path}: {why}, e a cópia não é criptografada",
    "it is no text, so it cannot be searched for secrets": "não é um texto; portanto, não se pode"
    " procurar segredos nele",
    "line {number} looks like a secret": "a linha {number} parece conter um segredo",
    "{path}: it cannot be read by this user, or is no file": "{path}: este usuário não pode lê-lo,"
    " ou não é um arquivo",
    "{key}: it has not the name of a pack": "{key}: não tem o nome de um pacote",
    "no container of the project has any such file.": "nenhum contêiner do projeto tem um arquivo"
    " desses.",
    # Scenarios of roles/incident
    "TimescaleDB is unavailable or damaged": "O TimescaleDB está indisponível ou danificado",
    "Redis is unavailable": "O Redis está indisponível",
    "A position is wrong": "Uma posição está errada",
    "A mark is wrong": "Uma marcação a mercado está errada",
    "The pipeline has failed": "O pipeline falhou",
    "The PMS is down or shows another book": "O PMS está fora do ar ou mostra outra carteira",
    "A disk is about to be full": "Um disco está quase cheio",
    "The newest backup set is damaged or cannot be restored": "A cópia mais recente está"
    " danificada ou não pode ser restaurada",
    "nobody answers at {where}: Connection refused; {more}": "ninguém responde em {where}: conexão"
    " recusada; {more}",
    "nobody answers at {where}: Connection refused": "ninguém responde em {where}: conexão"
    " recusada",
    "container is {state}, expected running": "o contêiner está no estado {state}; esperado:"
    " running",
    # Decisions and roles
    "go": "liberada (go)",
    "no-go": "não liberada (no-go)",
    "portfolio manager": "gestor da carteira",
    "administrator": "administrador",
    "risk officer": "diretor de risco",
    "operations": "operações",
}


def translated(text: str) -> str | None:
    """Return a text of the tool in Portuguese; None where it is not known."""
    found = PT.get(text) or PT.get(text.lower())
    if found:
        return found
    for pattern, target in _patterns():
        if match := pattern.fullmatch(text):
            parts = {name: translated(part) or part for name, part in match.groupdict().items()}
            return target.format(**parts)
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    found = []
    for source, target in PT.items():
        if "{" in source:
            pieces = re.split(r"\{(\w+)\}", source)
            text = "".join(
                # A path may have a colon: it ends at the last one.
                f"(?P<{piece}>.+{'' if piece == 'path' else '?'})"
                if number % 2
                else re.escape(piece)
                for number, piece in enumerate(pieces)
            )
            found.append((re.compile(text, re.DOTALL), target))
    return found
