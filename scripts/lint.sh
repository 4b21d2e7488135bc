#!/usr/bin/env bash
# Run every linter, each to its end, and say how long each took. Exits 1 if one found something.
# --quick leaves out ansible-lint, which takes a minute.
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

# As ruff and mypy do by themselves, yamllint reads no file again that passed: four seconds. Another
# configuration or release of it makes another list of what passed.
yamllint_changed() {
    local passed all changed
    passed=.cache/yamllint-$(cat .yamllint requirements/dev.txt | sha256sum | cut -c-16)
    all=$(git ls-files -co --exclude-standard '*.yml' '*.yaml' .yamllint |
        xargs sha256sum 2>/dev/null | LC_ALL=C sort) # a file that was just deleted has no sum
    mkdir -p .cache
    touch "$passed"
    mapfile -t changed < <(LC_ALL=C comm -13 "$passed" - <<<"$all" | cut -c67-)
    ((${#changed[@]} == 0)) || yamllint --strict "${changed[@]}" || return
    printf '%s\n' "$all" >"$passed"
}

# ansible-lint keeps one core busy; in two halves it keeps two: playbooks with those of the tests, and
# roles with the rest.
# What is neither YAML nor a role is none of its business.
ansible_lint_in_halves() {
    local playbooks others beside failed=0
    mapfile -t playbooks < <(
        git ls-files -co --exclude-standard \
            'molecule/*.yml' 'playbooks/*.yml' 'tests/*.yml' golive.yml dr_restore.yml
    )
    mapfile -t others < <(
        git ls-files -co --exclude-standard '*.yml' '*.yaml' \
            ':!molecule/' ':!playbooks/' ':!tests/*.yml' ':!golive.yml' ':!dr_restore.yml'
    )
    # The files first: --exclude takes all that follows it.
    # The roles take half as long again, so they go first where cores are short.
    nice scripts/ansible_lint.py -q "${playbooks[@]}" --exclude roles/ &
    beside=$!
    scripts/ansible_lint.py -q "${others[@]}" roles/* || failed=1
    wait "$beside" || failed=1
    return "$failed"
}

# It takes as long as the others together, so it runs beside them and says at the end what it found.
if [[ ${1:-} != --quick ]]; then
    found=$(mktemp)
    trap 'rm -f "$found"' EXIT
    (
        step ansible-lint ansible_lint_in_halves
        ((${#FAILED[@]} == 0))
    ) >"$found" 2>&1 &
    beside=$!
fi
step "ruff check" ruff check --quiet
step "ruff format" ruff format --check --quiet
step yamllint yamllint_changed
step "mypy --strict" scripts/typecheck.sh --no-error-summary
mapfile -t scripts < <(shell_scripts)
step shellcheck shellcheck "${scripts[@]}"
step "validate-modules" scripts/validate_modules.sh
if [[ -n ${beside:-} ]]; then
    wait "$beside" || FAILED+=(ansible-lint)
    cat "$found"
fi

if ((${#FAILED[@]})); then
    printf 'lint: %s failed\n' "${FAILED[*]}" >&2
    exit 1
fi
