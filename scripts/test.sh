#!/usr/bin/env bash
# Run the linters and, beside them, the tests; the last line is pytest's. Arguments go to pytest.
# Each property is tried with 30 examples, and tests marked deep are left out: quicker ones, which they
# name, prove their mechanism (tests/support/tiers.py). --deep runs them, and tries 100 examples; --all
# adds what takes longer: the tests marked nightly, such as molecule/dr_killed, and 1500 examples.
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

PMS_TEST_BEGAN=$(date +%s)
export PMS_TEST_BEGAN
if [[ -z ${PMS_TEST_WITHOUT_BROWSER:-} ]] && ! has_browser; then
    get_browser || echo 'test: no chromium, so the tests of the report will fail' >&2
fi

# What tests/support/interpreter keeps of sources that have changed since.
find .cache/interpreter -type f -mtime +14 -delete 2>/dev/null

# What the linters found: conftest.py prints it after the tests, with a last line that tells the end.
readonly LINTED=.cache/lint.txt
mkdir -p .cache
rm -f "$LINTED"

lint_all() {
    local status=0 started=$SECONDS
    scripts/lint.sh || status=$?
    printf 'lint: %d s in all, exit status %d\n' $((SECONDS - started)) "$status"
    return "$status"
}

# Beside the tests: most linters keep one core busy, and the tests leave some of the other.
lint_all >"$LINTED" 2>&1 &
linting=$!
trap 'kill "$linting" 2>/dev/null' EXIT
export PMS_LINTED=$LINTED

# Collecting compiles the tests. In a fresh clone it is done once: each of the three processes below
# would take twice as long for it otherwise. What it finds wrong, the tests say.
unset PYTHONDONTWRITEBYTECODE
if [[ ! -d tests/unit/__pycache__ || ! -d tests/integration/__pycache__ ]]; then
    pytest --collect-only --quiet --numprocesses=0 "$@" >/dev/null 2>&1
fi

tests=0
# Mostly they wait, for containers and time-outs: three files at a time, the longest first. The tests
# of a file stay together and in order, since they share servers or a lab.
pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder "$@" || tests=$?
lint=0
wait "$linting" || lint=$?
exit $((lint ? lint : tests))
