#!/usr/bin/env bash
# Restores a backup set of the PMS database, asking for a typed confirmation first: restores with
# pg_restore beside the live database, verifies the copy, stops the services, swaps, starts them.
#
# Usage: scripts/restore.sh FILE [options of ansible-playbook]
#   FILE  a set's folder, its dump, or a .pgdump file of pg_dump -Fc
#   scripts/restore.sh --rollback     brings the former database back
#
# Works from any directory, and ends with the playbook's exit status.
set -euo pipefail
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
refuse() {
  echo "restore.sh: $1" >&2
  exit "${2:-2}"
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  "") usage >&2; exit 2 ;;
  --rollback) wanted=(rollback true) ;;
  -*) refuse "$1 is not for here: a set is never restored over the live database (see --help)" ;;
  *)
    [[ -e $1 ]] || refuse "$1 does not exist"
    wanted=(file "$(readlink -f "$1")")
    ;;
esac
shift
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
[[ -x .venv/bin/ansible-playbook ]] || refuse ".venv is missing; 'make setup' makes it" 3

# As JSON, since a name or a path may hold blanks and quotes.
as_json() { .venv/bin/python -c 'import json, sys; print(json.dumps(dict(zip(sys.argv[1::2], sys.argv[2::2]))))' "$@"; }

.venv/bin/ansible-playbook dr_restore.yml --extra-vars "$(as_json "${wanted[@]}")" --check "$@"
echo
echo "That is the plan. To go on, type the name of the database, then Enter:"
read -r name || refuse "nothing was typed; nothing was changed" 1
exec .venv/bin/ansible-playbook dr_restore.yml --extra-vars "$(as_json "${wanted[@]}" confirm "$name")" "$@"
