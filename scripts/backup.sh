#!/usr/bin/env bash
# Makes a backup set of the PMS database: pg_dump of the full database, timestamped, CSV exports of
# the PMS tables, and the signed manifest that a restore is compared with.
#
# Usage: scripts/backup.sh [options of ansible-playbook]
#   scripts/backup.sh                           the inventory of ansible.cfg
#   scripts/backup.sh -i inventory/production   another one
#   scripts/backup.sh --check --diff            what would be made, and what retention would delete
#
# Works from any directory, asks nothing, and ends with the playbook's exit status.
set -euo pipefail
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit 0
fi
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
if [[ ! -x .venv/bin/ansible-playbook ]]; then
  echo "backup.sh: .venv is missing; 'make setup' makes it" >&2
  exit 3
fi
exec .venv/bin/ansible-playbook playbooks/backup.yml "$@"
