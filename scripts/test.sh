#!/usr/bin/env bash
# Run the linters, then every test; the last line is pytest's. Arguments go to pytest.
# Exits non-zero if any part failed; a part that failed does not keep the others from running.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

started=$SECONDS
lint=0
scripts/lint.sh || lint=$?
printf 'lint: %d s in all; now the tests (times per part at their end)\n' $((SECONDS - started))

tests=0
pytest "$@" || tests=$?
exit $((lint ? lint : tests))
