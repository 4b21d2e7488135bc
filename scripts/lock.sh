#!/usr/bin/env bash
# Lock requirements/*.in anew, with hashes and without addresses, for Python 3.11 and newer.
#
# Run it with the oldest Python that is supported: what an older one needs in addition carries a
# marker then, and nothing is left out for the newer ones. Arguments go to pip-compile (--upgrade).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"
for lock in control dev; do
    pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options \
        "$@" --output-file "$lock.txt" "$lock.in"
done
