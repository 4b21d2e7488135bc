#!/usr/bin/env bash
# Run every linter, each to its end, and say how long each took. Exits 1 if one found something.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

FAILED=()

# step NAME COMMAND...: run it, time it, remember a failure.
step() {
    local name=$1 started=$SECONDS
    shift
    if "$@"; then
        printf 'ok      %-18s %3d s\n' "$name" $((SECONDS - started))
    else
        FAILED+=("$name")
        printf 'FAILED  %-18s %3d s\n' "$name" $((SECONDS - started))
    fi
}

shell_scripts() { git ls-files -co --exclude-standard '*.sh' .ci/run scripts/pms-ops; }

# ansible-lint checks one playbook after the other, on little more than one core: in two halves it
# keeps two busy. The scenarios' half leaves out what they import, which is in the other.
ansible_lint_in_halves() {
    local scenarios beside failed=0
    mapfile -t scenarios < <(git ls-files -co --exclude-standard 'molecule/*.yml')
    # The files first: --exclude takes all that follows it.
    ansible-lint -q "${scenarios[@]}" --exclude roles/ playbooks/ &
    beside=$!
    ansible-lint -q --exclude molecule/ || failed=1
    wait "$beside" || failed=1
    return "$failed"
}

step "ruff check" ruff check --quiet
step "ruff format" ruff format --check --quiet
step yamllint yamllint --strict .
mapfile -t scripts < <(shell_scripts)
step shellcheck shellcheck "${scripts[@]}"
step "validate-modules" scripts/validate_modules.sh
step ansible-lint ansible_lint_in_halves

if ((${#FAILED[@]})); then
    printf 'lint: %s failed\n' "${FAILED[*]}" >&2
    exit 1
fi
