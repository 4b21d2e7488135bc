#!/usr/bin/env bash
# Check types with mypy --strict: module_utils, the front door, the bench, the plugins.
#
# Modules import ansible.module_utils.pmsops, a package that exists only while Ansible runs. A folder
# with links gives mypy the same view; Ansible's own code has no types and is not read.
# Arguments go to mypy, e.g. --no-incremental.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VIEW=.cache/mypy/view
mkdir -p "$VIEW/ansible/module_utils"
touch "$VIEW/ansible/__init__.py" "$VIEW/ansible/module_utils/__init__.py"
ln -sfn ../../../../../module_utils/pmsops "$VIEW/ansible/module_utils/pmsops"

python=.venv/bin/python
[[ -x $python ]] || python=python3
MYPYPATH="$VIEW" "$python" -m mypy "$@" -p ansible.module_utils.pmsops -p pmsops_cli -p bench
# Plugins have no package of their own: Ansible loads each by its path.
MYPYPATH="$VIEW" "$python" -m mypy "$@" --scripts-are-modules plugins/*/*.py
