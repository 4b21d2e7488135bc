#!/usr/bin/env bash
# Update the lock files of requirements/*.in, with hashes and without addresses, for Python 3.11 and
# newer; packages for only some of these versions have a marker. managed-old is for Python 3.9 and
# 3.10, with one version of each package for both. Arguments go to uv (--upgrade).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

# lock NAME OLDEST_PYTHON OPTION...
lock() {
    uv pip compile --quiet --universal --python-version "$2" --generate-hashes --strip-extras \
        --no-header --no-emit-index-url --no-emit-find-links --output-file "$1.txt" "${@:3}" "$1.in"
}

for each in control dev node; do
    lock "$each" 3.11 "$@"
done
lock managed 3.11 --constraint control.txt "$@"
lock managed-old 3.9 --fork-strategy fewest "$@"
