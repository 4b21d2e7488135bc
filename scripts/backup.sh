#!/usr/bin/env bash
# Makes a backup set of the PMS database: pg_dump of the full database, timestamped, CSV exports of
# the PMS tables, and the signed manifest that a restore is compared with.
#
# Usage: scripts/backup.sh [options of ansible-playbook]
#   scripts/backup.sh                           backs up the system of the default inventory
#   scripts/backup.sh -i inventory/production   backs up another system
#   scripts/backup.sh --check --diff            shows the new set, and what retention would delete
#
# Works from any directory, asks nothing, and returns the playbook's exit status.
set -euo pipefail
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
  exit 0
fi
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
if [[ ! -x .venv/bin/ansible-playbook ]]; then
  echo "backup.sh: .venv is missing; run 'make setup'" >&2
  exit 3
fi
# Ansible needs UTF-8, and ignores the ansible.cfg of a folder that everybody may write to.
export LC_ALL=C.UTF-8 ANSIBLE_CONFIG=$PWD/ansible.cfg
exec .venv/bin/ansible-playbook playbooks/backup.yml "$@"
