#!/usr/bin/env bash
# Run the linters, then every test; the last line is pytest's. Arguments go to pytest.
# --all adds what takes longer: molecule/dr_killed, and 1500 examples of each property in place of 100.
# Exits non-zero if any part failed; a part that failed does not keep the others from running.
#
# The report is tested in Debian's chromium: it is installed where it is missing and root may do
# that. Without it those tests fail, unless PMS_TEST_WITHOUT_BROWSER=1 leaves them out on purpose.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

has_browser() { command -v chromium || command -v chromium-browser; } >/dev/null

get_browser() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    echo 'test: installing chromium with apt-get, for the tests of the report'
    {
        apt-get update -qq -o Acquire::Retries=3
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 chromium
    } >.cache/chromium.log 2>&1
}

if [[ -z ${PMS_TEST_WITHOUT_BROWSER:-} ]] && ! has_browser; then
    get_browser || echo 'test: no chromium, so the tests of the report will fail' >&2
fi

# What tests/support/interpreter keeps of sources that have changed since.
find .cache/interpreter -type f -mtime +14 -delete 2>/dev/null

# Collecting compiles the tests. It is done once, while the first linters leave a core idle: each of
# the three processes below would take twice as long for it otherwise.
unset PYTHONDONTWRITEBYTECODE
pytest --collect-only --quiet --numprocesses=0 "$@" >/dev/null 2>&1 &
collecting=$!

started=$SECONDS
lint=0
scripts/lint.sh || lint=$?
wait "$collecting" # what it finds wrong, the tests say
export PMS_LINT_SECONDS=$((SECONDS - started)) # a row of the table that conftest.py prints
printf 'lint: %d s in all; now the tests (times per part at their end)\n' "$PMS_LINT_SECONDS"

tests=0
# Mostly they wait, for containers and time-outs: three files at a time, the longest first. The tests
# of a file stay together and in order, since they share servers or a lab.
pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder "$@" || tests=$?
exit $((lint ? lint : tests))
