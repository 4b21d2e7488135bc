#!/usr/bin/env bash
# Restores a backup set of the PMS database, asking for a typed confirmation first: stops the
# services, restores with pg_restore beside the live database, verifies, swaps, starts the services.
#
# Usage: scripts/restore.sh FILE [options of ansible-playbook]
#   FILE  a set's folder, its dump, or a .pgdump file of pg_dump -Fc
#   scripts/restore.sh --rollback     brings the former database back
#
# Works from any directory, and ends with the playbook's exit status.
set -euo pipefail
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  "") usage >&2; exit 2 ;;
  --rollback) request=(-e rollback=true) ;;
  *)
    if [[ ! -e $1 ]]; then
      echo "restore.sh: $1 does not exist" >&2
      exit 2
    fi
    request=(-e "file=$(readlink -f "$1")")
    ;;
esac
shift
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
if [[ ! -x .venv/bin/ansible-playbook ]]; then
  echo "restore.sh: .venv is missing; 'make setup' makes it" >&2
  exit 3
fi
.venv/bin/ansible-playbook dr_restore.yml "${request[@]}" --check "$@"
echo
echo "That is the plan. To go on, type the name of the database, then Enter:"
if ! read -r name; then
  echo "restore.sh: nothing was typed; nothing was changed" >&2
  exit 1
fi
exec .venv/bin/ansible-playbook dr_restore.yml "${request[@]}" -e "confirm=$name" "$@"
