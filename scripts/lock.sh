#!/usr/bin/env bash
# Update the lock files of requirements/*.in, with hashes and without addresses, for Python 3.11 and
# newer; packages for only some of these versions have a marker. Arguments go to uv (--upgrade).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"
for lock in control dev managed node; do
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --strip-extras \
        --no-header --no-emit-index-url --no-emit-find-links "$@" --output-file "$lock.txt" "$lock.in"
done
