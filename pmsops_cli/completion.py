# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Completion of the command line: each shell asks `pms-ops __complete WORDS...` for candidates."""

from __future__ import annotations

import argparse
from pathlib import Path

from pmsops_cli import arguments, playbooks
from pmsops_cli.project import PROJECT

HIDDEN = "__complete"
SCRIPTS = {
    "bash": """\
_pms_ops() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") line current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :files ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
        else
            COMPREPLY+=("$line")
        fi
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}
complete -F _pms_ops pms-ops
""",
    "zsh": """\
#compdef pms-ops
_pms_ops() {
    local line
    local -a found
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        if [[ $line == :files ]]; then _files; elif [[ -n $line ]]; then found+=("$line"); fi
    done
    (( ${#found} )) && compadd -a found
}
if [[ $funcstack[1] == _pms_ops ]]; then _pms_ops "$@"; else compdef _pms_ops pms-ops; fi
""",
    "fish": """\
function __pms_ops
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c pms-ops -f -a '(__pms_ops)'
""",
}
# An answer: the shell is to complete names of files itself.
FILES = ":files"
VALUE_FILES = {"--attestations", "--vault-password-file", "--env", "-e", "--extra-vars"}


def candidates(words: list[str]) -> list[str]:
    """Return what the last of the *words* may become."""
    *before, current = words or [""]
    whole = arguments.parser()
    known = arguments.commands(whole)
    command = next((word for word in before if word in known), None)
    options = _options(known[command] if command else whole)
    previous = before[-1] if before else ""
    if previous in options and options[previous].nargs != 0:
        return _starting(_values(previous), current)
    if current.startswith("-"):
        return _starting(list(options), current)
    if command is None:
        return _starting(list(known), current)
    return _starting(_positionals(command), current)


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {name: action for action in parser._actions for name in action.option_strings}


def _values(option: str) -> list[str]:
    if option in ("-i", "--inventory"):
        folder = PROJECT / "inventory"
        return [*sorted(path.name for path in folder.iterdir() if path.is_dir()), FILES]
    return [FILES] if option in VALUE_FILES else []


def _positionals(command: str) -> list[str]:
    if command == "dr":
        return [each.name for each in playbooks.listed("dr")]
    if command == "ops":
        return [each.name for each in playbooks.listed("ops")]
    if command in ("restore", "drill", "verify", "hold"):
        return [*_sets(PROJECT / "backups"), FILES]
    if command == "init":
        return [FILES]
    known = {
        "ledger": ["verify", "anchor", "rotate-key", "replace-key", "accept"],
        "evidence": ["export"],
        "deficiency": ["open", "close", "list"],
        "notify": ["test"],
        "schedule": ["install", "status", "remove"],
        "completion": ["bash", "zsh", "fish"],
    }
    return known.get(command, [])


def _sets(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("[0-9]*/manifest.json"))


def _starting(found: list[str], start: str) -> list[str]:
    return [each for each in found if each == FILES or each.startswith(start)]
