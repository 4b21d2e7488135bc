#!/usr/bin/env bash
# Restores a backup set of the PMS database, after a typed confirmation: restores it with pg_restore
# into a staging database, verifies that, stops the services, swaps the databases, starts the services.
#
# Usage: scripts/restore.sh FILE [options of ansible-playbook]
#   FILE  a set's folder, its dump, or a .pgdump file made by pg_dump -Fc
#   scripts/restore.sh --rollback     makes the former database live again
#
# Works from any directory, and returns the playbook's exit status.
set -euo pipefail
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
refuse() {
  echo "restore.sh: $1" >&2
  exit "${2:-2}"
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  "") usage >&2; exit 2 ;;
  --rollback) request=(rollback true) ;;
  -*) refuse "$1 is no option of restore.sh: a set is never restored over the live database (see --help)" ;;
  *)
    [[ -e $1 ]] || refuse "$1 does not exist"
    request=(file "$(readlink -f "$1")")
    ;;
esac
shift
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# Ansible needs UTF-8, and ignores the ansible.cfg of a folder that everybody may write to.
export LC_ALL=C.UTF-8 ANSIBLE_CONFIG=$PWD/ansible.cfg
[[ -x .venv/bin/ansible-playbook ]] || refuse ".venv is missing; run 'make setup'" 3

# As JSON, because a name or a path can contain blanks and quotes.
as_json() { .venv/bin/python -c 'import json, sys; print(json.dumps(dict(zip(sys.argv[1::2], sys.argv[2::2]))))' "$@"; }

.venv/bin/ansible-playbook dr_restore.yml --extra-vars "$(as_json "${request[@]}")" --check "$@"
echo
echo "This is the plan. To continue, type the name of the database, then Enter:"
read -r name || refuse "nothing was typed; nothing was changed" 1
exec .venv/bin/ansible-playbook dr_restore.yml --extra-vars "$(as_json "${request[@]}" confirm "$name")" "$@"
