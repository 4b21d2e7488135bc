# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What restic says when it fails, as an error with a remedy.

Source: restic 0.18, "Scripting", exit codes: 1 failed, 2 Go's runtime, 3 some data could not be
read, 10 no repository, 11 locked, 12 wrong password, 130 interrupted.
"""

from __future__ import annotations

import json
import re

from ansible.module_utils.pmsops.common.errors import OpsError

SHOWN = 600
NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12
_NOISE = re.compile(r"repair (index|packs|snapshots)|troubleshooting|issues/new|^\s*$")


def to_error(site: str, command: str, status: int, said: str) -> OpsError:
    """Return the error of a run of restic for *site* that ended with *status*, not 0."""
    told = f"status {status}: {said or 'it gave no message'}"
    code, remedy = next(
        (code, remedy) for pattern, code, remedy in _KNOWN if re.search(pattern, told, re.I)
    )
    return OpsError(f"Site {site}: restic {command} ended with {told}", remedy, code=code)


def message(output: str, errors: str) -> str:
    """Return what restic said of a failure on one line, from its JSON and its plain lines."""
    found = []
    for line in [*errors.splitlines(), *output.splitlines()]:
        text = line
        if line.startswith("{"):
            try:
                document = json.loads(line)
            except ValueError:
                continue
            kind = document.get("message_type")
            if kind not in ("error", "exit_error"):
                continue
            inner = document.get("error")
            text = document.get("message") or (inner or {}).get("message", "")
            if document.get("item"):
                text = f"{document['item']}: {text}"
        text = " ".join(text.removeprefix("Fatal: ").split())
        if text and not _NOISE.search(text) and text not in found:
            found.append(text)
    whole = " / ".join(found)
    # The first lines name the cause, the last one the end; retries in between say the same.
    return whole if len(whole) <= SHOWN else f"{whole[: SHOWN // 2]} ... {whole[-SHOWN // 2 :]}"


_KNOWN = (
    (
        r"^status 10:",
        "offsite.no-repository",
        "If the site is new: pms-ops offsite init. If it is not, its repository is gone: look for"
        " it on the site before you make a new one.",
    ),
    (
        r"^status 11:",
        "offsite.locked",
        "Another run works on this repository; wait for it. The lock of a run that was killed here"
        " is removed by itself, and one of another machine after 30 minutes.",
    ),
    (
        r"^status 12:",
        "offsite.wrong-password",
        "The password_file is not of this repository. Take the password from the envelope.",
    ),
    (
        r"^status (130|-2|-15):",
        "offsite.interrupted",
        "It was interrupted. The next run goes on: what had arrived on the site is used again.",
    ),
    (
        r"^status (2|-6|-9|-11|137):",
        "offsite.crashed",
        "restic broke down: look for memory pressure (dmesg), then run again.",
    ),
    (
        r"^status 3:",
        "offsite.unread",
        "Files could not be read, so this copy does not count. Mend what it names, or run again if"
        " they were only being replaced.",
    ),
    (
        r"bucket does not exist|NoSuchBucket",
        "offsite.no-bucket",
        "If the site is new: make the bucket with object lock, then pms-ops offsite init (which"
        " would make one without). If it is not, find out who removed it.",
    ),
    (
        r"RequestTimeTooSkewed|request time and the (current|server's) time",
        "offsite.clock",
        "The site says that this machine's clock is wrong: set it right (timedatectl).",
    ),
    (
        r"no space left|quota exceeded|disk quota|QuotaExceeded|Insufficient Storage|\(507\)"
        r"|\(413\)|not enough space|StorageFull",
        "offsite.full",
        "Make room on the site, or let old copies go there (offsite_keep_*). The sets here stay.",
    ),
    (
        r"x509:|certificate|Host key verification failed",
        "offsite.certificate",
        "Compare the site's certificate or SSH host key with what its operator says; then set"
        " ca_file, or add the key to known_hosts.",
    ),
    (
        r"(unable to create lock in backend|<lock/).*"
        r"(read-only|permission denied|\b403\b|Forbidden|Access ?Denied)",
        "offsite.read-only",
        "These credentials can only read there. A fetch and a drill need no more; a copy, a check"
        " and a retention need credentials that can write.",
    ),
    (
        r"\b(401|403)\b|Access ?Denied|InvalidAccessKeyId|SignatureDoesNotMatch|permission denied"
        r"|Unauthorized|Forbidden|not authorized",
        "offsite.refused",
        "The site refuses these credentials. Compare environment_file and the SSH key with what"
        " the site's operator gave.",
    ),
    (
        r"connection refused|no such host|timed? ?out|no route to host|network is unreachable"
        r"|unable to start the sftp session|could not resolve|deadline exceeded|connection reset"
        r"|name resolution|broken pipe|ssh command exited|server misbehaving",
        "offsite.unreachable",
        "Look at the network and at the site (its name, port and firewall). The sets here stay, and"
        " the next run uploads what is missing.",
    ),
    (
        r"ciphertext verification failed|contains errors|does not exist|hash mismatch"
        r"|unexpected pack|invalid data|not found in (index|repository)|unable to load"
        r"|no such file or directory|There were \d+ errors|failed to load|incomplete pack"
        r"|size mismatch|EOF",
        "offsite.damaged",
        "Data of the repository is missing or damaged. Keep the sets here, make a new repository on"
        " another disk of the site, and upload into it; restic's guide of troubleshooting says what"
        " can be saved of the old one.",
    ),
    (
        r"",
        "offsite.failed",
        "Correct what it names and run again. The sets here stay.",
    ),
)
