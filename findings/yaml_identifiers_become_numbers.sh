#!/usr/bin/env bash
# Runs:    PyYAML 6.0.4 by ansible-core 2.19.14's filter to_nice_yaml, read by ruamel.yaml 0.19.1 as
#          YAML 1.2.
# Seen:    PyYAML quotes a string only if YAML 1.1 would take it for a number. "037833100" (Apple's
#          CUSIP) is no octal number because of its 8, so it is written plain, and YAML 1.2 reads
#          the integer 37833100. "46138E354" (a fund's CUSIP) is read as infinity, the SEDOL
#          "0263494" as 263494, the commit "7e12" as 7000000000000.0. "594918104" and "0123457" are
#          quoted.
# Guess:   a string that YAML's own writer got as a string is a string for every reader.
# Matters: files made by Ansible and read by tools that follow YAML 1.2: a list of instruments, an
#          image tag, a label. The npm package yaml reads like ruamel.yaml, js-yaml all but the
#          infinity. One identifier in thousands turns into another one or into infinity, and those
#          that were looked at are quoted and right. Write JSON (to_json), which every YAML reader
#          takes, or force quotes with default_style='"'.
# Output:  written: 037833100, 46138E354, 0263494, 7e12, '594918104', '0123457'
#          read:    37833100, inf, 263494, 7000000000000.0, '594918104', '0123457'
set -euo pipefail
export LC_ALL=C.UTF-8
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile \
    ansible-core==2.19.14 pyyaml==6.0.4 ruamel.yaml==0.19.1

export ANSIBLE_CONFIG="$WORK/ansible.cfg" ANSIBLE_HOME="$WORK/home"
: >"$ANSIBLE_CONFIG"
timeout 60 "$WORK/venv/bin/python" -W ignore - <<'PYTHON'
import math

import yaml
from ansible.plugins.filter.core import FilterModule
from ruamel.yaml import YAML

IDENTIFIERS = ["037833100", "46138E354", "0263494", "7e12", "594918104", "0123457"]

filters = FilterModule().filters()
written = filters["to_nice_yaml"](IDENTIFIERS)
read = YAML(typ="safe").load(written)
print("written:", *written.splitlines())
print("read:   ", read)
assert yaml.safe_load(written) == IDENTIFIERS  # what wrote it reads it back
assert written.splitlines() == [
    "- 037833100", "- 46138E354", "- 0263494", "- 7e12", "- '594918104'", "- '0123457'"
], written
assert read == [37833100, math.inf, 263494, 7e12, "594918104", "0123457"], read
quoted = filters["to_nice_yaml"](IDENTIFIERS, default_style='"')
for text in (filters["to_json"](IDENTIFIERS), quoted):
    assert YAML(typ="safe").load(text) == IDENTIFIERS, text
PYTHON
