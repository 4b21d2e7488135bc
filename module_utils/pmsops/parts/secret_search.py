# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a file of configuration holds a secret: such a file is in no set that is not encrypted.

It errs on the side of leaving out: a name that says password with a literal value is enough.
"""

from __future__ import annotations

import re

_NAMES = r"pass(?:word|wd|phrase)?|secret|token|api_?key|private_?key|credentials?|auth(?![a-z])"
PATTERNS = (
    re.compile(rf"(?i)(?:{_NAMES})[\w.-]*[\"']?\s*[:=]\s*[\"']?(?P<value>[^\s\"',;}}]+)"),
    re.compile(r"://[^/\s:@\"']*:(?P<value>[^@/\s\"']+)@"),  # an address with a password
    re.compile(r"(?i)^\s*(?:requirepass|masterauth)\s+[\"']?(?P<value>[^\s\"']+)"),
    re.compile(r"(?P<value>-----BEGIN [A-Z ]*PRIVATE KEY)"),
)
# A variable, a path (a file of its own), or no value at all.
HARMLESS = re.compile(r"(?i)\$.*|/.*|\{.*|\[.*|<.*|null|none|true|false|\*+|~|\||>")


def reason(content: bytes) -> str | None:
    """Return why a file cannot be kept in plain text, None if nothing speaks against it."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return "it is no text, so it cannot be searched for secrets"
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in PATTERNS:
            for found in pattern.finditer(line):
                if not HARMLESS.fullmatch(found["value"]):
                    return f"line {number} looks like a secret"
    return None
