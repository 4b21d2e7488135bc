#!/usr/bin/env bash
# The inner loop: the quick linters and the unit tests, no containers; at most 90 s on two cores.
# Prints how much of some packages their own tests reach (tests/support/own_coverage.py). Arguments go
# to pytest. Tests that run whole linters are left to `make test`: the linters themselves run here,
# beside the tests; what they say is shown after the tests' own report. So are those of the cache that
# the tests' interpreters share (whole playbooks, and nothing of the project), and those that take a
# second of a processor or more, such as a kill at each point of a swap.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

failed=0
mkdir -p .cache
unset PYTHONDONTWRITEBYTECODE # each process would compile all tests anew, a third of the time
started=$SECONDS
scripts/lint.sh --quick >.cache/lint.txt 2>&1 &
lint=$!
trap 'kill "$lint" 2>/dev/null' EXIT
rm -f .cache/coverage .cache/coverage.*
if [[ ! -d tests/unit/__pycache__ ]]; then # a fresh clone: each worker would compile all tests
    pytest --collect-only --quiet --numprocesses=0 tests/unit >/dev/null 2>&1
fi
# Three workers on two cores: some tests wait, for time-outs and processes. Each gets a third of the
# tests, so that most fixtures of a file are made once, and takes from others when it is done.
pytest --numprocesses=3 --dist=worksteal --quiet -m "not linters and not own_tools and not long" \
    --own-coverage "$@" tests/unit || failed=1
wait "$lint" || failed=1
cat .cache/lint.txt
if (($# == 0)); then # a choice of tests reaches less
    coverage combine --quiet &&
        coverage json --quiet -o .cache/own-coverage.json &&
        scripts/branch_coverage.py .cache/own-coverage.json || failed=1
fi
printf 'check: %d s in all\n' $((SECONDS - started))
exit "$failed"
