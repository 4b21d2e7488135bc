#!/usr/bin/env bash
# Install the requirements of the project: Docker Engine, the tools for the lab's images, .venv.
#
#   scripts/setup.sh         for `make golive`
#   scripts/setup.sh --dev   for the tests and linters too, with packages of npm
#   scripts/setup.sh --lint  only for the linters: the same .venv, but no Docker Engine
#
# If Docker answers, nothing outside the project's folder is changed. Otherwise missing packages are
# installed, but only on Debian or Ubuntu as root. On any other system nothing is changed: the
# script says what to install and exits 2. A second run takes a fraction of a second.
#
# Reads: DOCKER_HOST; LAB_IMAGES (upstream: the lab's images are not built here); LAB_POSTGRESQL;
#        PMS_OS_RELEASE (another file instead of /etc/os-release).
set -euo pipefail

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly PROJECT
readonly VENV="$PROJECT/.venv"
readonly TOOLS="$PROJECT/.cache/tools"
readonly OS_RELEASE="${PMS_OS_RELEASE:-/etc/os-release}"
readonly IMAGES=("pms-lab/timescaledb:${LAB_POSTGRESQL:-17}" pms-lab/redis:8 pms-lab/api:1 pms-lab/dagster:1)
readonly ENGINE_WAIT_SECONDS=60
readonly MIN_PYTHON="3, 11"
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

say() { printf 'setup: %s\n' "$*"; }

# Stop before any change: print the problem, then the remedy.
refuse() {
    printf 'setup: %s\n' "$1" >&2
    shift
    printf '       %s\n' "$@" 'Nothing was changed.' >&2
    exit 2
}

fail() {
    printf 'setup: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '       %s\n' "$@" >&2
    exit 1
}

# ---------------------------------------------------------------- this machine

is_root() { [[ $(id -u) == 0 ]]; }

is_debian_like() {
    [[ -r $OS_RELEASE ]] && command -v apt-get >/dev/null &&
        grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' "$OS_RELEASE"
}

may_install() { is_root && is_debian_like; }

why_not_install() {
    if is_debian_like; then
        printf 'you are not root'
    else
        printf 'this is neither Debian nor Ubuntu'
    fi
}

# Print the first usable Python; with "ensurepip", one that can make a virtual environment.
find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c "import sys, venv${1:+, $1}; sys.exit(sys.version_info < ($MIN_PYTHON))" \
            >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# ---------------------------------------------------------------- Docker Engine

engine() { "$PYTHON" "$PROJECT/scripts/engine_ping.py" "$@"; }

# wait_for_engine SECONDS [PID]: true as soon as it answers, false as soon as process PID has ended.
wait_for_engine() {
    local waited
    for ((waited = 0; waited < $1; waited++)); do
        if engine; then
            return 0
        fi
        if [[ -n ${2:-} ]] && ! kill -0 "$2" 2>/dev/null; then
            return 1
        fi
        sleep 1
    done
    engine
}

# With systemd, start the service; without it, run dockerd in its own session.
start_engine() {
    local pid=""
    if [[ -d /run/systemd/system ]]; then
        say "starting Docker Engine (systemctl start docker)"
        systemctl start docker || true
    elif ! wait_for_engine 3; then # an init script of the package may have started it
        say "starting Docker Engine: dockerd (log: /var/log/dockerd.log)"
        setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null 9>&- &
        pid=$!
    fi
    wait_for_engine "$ENGINE_WAIT_SECONDS" "$pid" || fail \
        "Docker Engine was started, but does not answer (waited up to $ENGINE_WAIT_SECONDS s)." \
        "The end of its log:" "$(engine_log)"
    say "Docker Engine answers. It keeps running when this command ends."
}

engine_log() {
    if [[ -d /run/systemd/system ]]; then
        journalctl -u docker -n 15 --no-pager 2>&1 || true
    else
        tail -n 15 /var/log/dockerd.log 2>&1 || true
    fi
}

# ---------------------------------------------------------------- Debian packages

has_package() { apt-cache show "$1" >/dev/null 2>&1; }

install_packages() {
    say "installing with apt-get: $*"
    apt-get update -qq -o Acquire::Retries=3 || say "apt-get update had errors; continuing"
    local names=("$@")
    # Debian 13 has the client in a separate package.
    if [[ " $* " == *" docker.io "* ]] && has_package docker-cli; then
        names+=(docker-cli)
    fi
    apt-get install -y -qq --no-install-recommends -o Acquire::Retries=3 \
        -o DPkg::Lock::Timeout=120 "${names[@]}" >"$LOG" 2>&1 || {
        tail -n 20 "$LOG" >&2
        fail "apt-get could not install: ${names[*]}" "The whole log is $LOG"
    }
}

# Unpack packages below .cache/tools, with separate apt lists; nothing is installed.
unpack_packages() {
    say "unpacking into .cache/tools: $*"
    local apt=(-o "Dir::State::lists=$TOOLS/lists" -o "Dir::Cache=$TOOLS/cache"
        -o APT::Sandbox::User=root -o Acquire::Retries=3)
    mkdir -p "$TOOLS/lists/partial" "$TOOLS/cache/archives/partial"
    (
        cd "$TOOLS/cache"
        { apt-get "${apt[@]}" -qq update && apt-get "${apt[@]}" -qq download "$@"; } >"$LOG" 2>&1
        for package in ./*.deb; do
            dpkg-deb -x "$package" "$TOOLS"
        done
    ) || fail "could not fetch $*: see $LOG" "Install them yourself: apt-get install $*"
    rm -rf "$TOOLS/cache" "$TOOLS/lists"
}

# ---------------------------------------------------------------- what is missing

needs_mmdebstrap() {
    [[ $ENGINE != unneeded && ${LAB_IMAGES:-} != upstream ]] && ! command -v mmdebstrap >/dev/null &&
        ! engine "${IMAGES[@]}"
}

# Fill MISSING with the missing packages for the engine, the images and .venv.
find_missing() {
    MISSING=()
    if [[ $ENGINE == absent ]]; then
        MISSING+=(docker.io iptables ca-certificates)
    fi
    if needs_mmdebstrap; then
        MISSING+=(mmdebstrap)
        [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || MISSING+=(debian-archive-keyring)
    fi
    if ! find_python ensurepip >/dev/null && ! venv_ready; then
        MISSING+=("python$(python_version "$PYTHON")-venv")
    fi
}

# Set ENGINE: unneeded, answers, silent (installed, not answering) or absent.
look_for_engine() {
    local status=0
    if [[ $ENGINE == unneeded ]]; then
        return 0
    fi
    engine || status=$?
    if ((status == 0)); then
        ENGINE=answers
    elif ((status == 3)); then
        refuse "Docker Engine runs, but this user has no access to it." \
            "Run as root, or add the user to the group docker and log in again."
    elif [[ -n ${DOCKER_HOST:-} ]]; then
        refuse "No Docker Engine answers at DOCKER_HOST=$DOCKER_HOST." \
            "Start that engine, or unset DOCKER_HOST to use the engine of this machine."
    elif command -v dockerd >/dev/null; then
        ENGINE=silent
        is_root || refuse "Docker Engine is installed, but does not answer, and you are not root." \
            "Start it: sudo systemctl start docker"
    else
        ENGINE=absent
    fi
}

# Refuse before the first change if packages are missing and cannot be installed.
check_may_get_missing() {
    ((${#MISSING[@]})) || return 0
    if [[ $ENGINE =~ ^(answers|unneeded)$ ]]; then
        is_debian_like && return 0
    else
        may_install && return 0
    fi
    local advice=("Install: ${MISSING[*]} (Debian's names), then run this again.")
    if [[ $ENGINE != absent && " ${MISSING[*]} " == *" mmdebstrap "* ]]; then
        advice+=("LAB_IMAGES=upstream pulls the images from a registry and needs no mmdebstrap.")
    fi
    refuse "Missing: ${MISSING[*]}; $(why_not_install)." "${advice[@]}"
}

# Changes the system only if Docker itself has to be installed or started.
get_missing() {
    if ((${#MISSING[@]} == 0)); then
        return 0
    elif [[ $ENGINE =~ ^(answers|unneeded)$ ]]; then
        unpack_packages "${MISSING[@]/#python*-venv/python3-pip-whl}"
    else
        install_packages "${MISSING[@]}"
    fi
}

# ---------------------------------------------------------------- .venv

# Identity of an installed lock file: if it changes, .venv is made again.
stamp() { sha256sum "$PROJECT/requirements/$1.txt" && printf '%s\n' "$PROJECT"; }

has_stamp() {
    [[ -x $VENV/bin/python && -L $VENV/bin/docker-compose && -r $VENV/$1.stamp &&
        $(<"$VENV/$1.stamp") == "$(stamp "$1")" ]]
}

# The lock file of the tests contains that of the toolkit.
venv_ready() { has_stamp dev || { [[ $LOCK == control ]] && has_stamp control; }; }

create_venv() {
    local python
    if python=$(find_python ensurepip); then
        "$python" -m venv --clear "$VENV"
    else # Debian without python3-venv, while Docker answers: pip comes from .cache/tools
        "$PYTHON" -m venv --clear --without-pip "$VENV"
        local wheel=("$TOOLS"/usr/share/python-wheels/pip-*.whl)
        PYTHONPATH="${wheel[0]}" "$VENV/bin/python" -m pip install -q --no-index "${wheel[0]}"
    fi
}

# pip's wrapper of Compose always exits 0, so link the program itself.
link_compose() {
    local program=("$VENV"/lib/python*/site-packages/compose/docker-compose)
    ln -sf "${program[0]}" "$VENV/bin/docker-compose"
}

make_venv() {
    if venv_ready; then
        return 0
    fi
    has_stamp control || create_venv
    say "installing Python packages into .venv from requirements/$LOCK.txt (half a minute)"
    "$VENV/bin/python" -m pip install -q --require-hashes --no-input --disable-pip-version-check \
        -r "$PROJECT/requirements/$LOCK.txt" >"$LOG" 2>&1 || {
        tail -n 20 "$LOG" >&2
        fail "pip could not install requirements/$LOCK.txt" "The whole log is $LOG"
    }
    link_compose
    stamp control >"$VENV/control.stamp"
    [[ $LOCK == control ]] || stamp dev >"$VENV/dev.stamp"
}

# The tests of TimescaleDB's full edition run on it; linters do not need it.
get_node_packages() {
    [[ $LOCK == control || $ENGINE == unneeded ]] || "$PROJECT/scripts/install_node_packages.sh"
}

# ---------------------------------------------------------------- main

nothing_to_do() {
    PYTHON="$VENV/bin/python"
    venv_ready && { [[ $ENGINE == unneeded ]] || engine; } && ! needs_mmdebstrap
}

# The toolkit uses its own Compose; what a person types by hand may be missing.
compose_here() {
    docker compose version >/dev/null 2>&1 ||
        printf '%s' "; Compose is .venv/bin/docker-compose (there is no \`docker compose\` here)"
}

main() {
    LOCK=control ENGINE=""
    case "${1:-}" in
    '') ;;
    --dev) LOCK=dev ;;
    --lint) LOCK=dev ENGINE=unneeded ;;
    *) refuse "unknown argument $1" "Usage: scripts/setup.sh [--dev | --lint]" ;;
    esac

    PATH="$PATH:$TOOLS/usr/bin"
    if nothing_to_do; then
        get_node_packages
        return 0
    fi
    PYTHON=$(find_python ensurepip || find_python) || refuse "No Python 3.11 or newer." \
        "Install: python3 (3.11 or newer), then run this again."
    look_for_engine
    find_missing
    check_may_get_missing
    mkdir -p "$PROJECT/.cache"
    LOG="$PROJECT/.cache/setup.log"
    exec 9>"$PROJECT/.cache/setup.lock"
    flock -w 600 9 || fail "another setup has held .cache/setup.lock for more than ten minutes"
    get_missing
    [[ $ENGINE =~ ^(answers|unneeded)$ ]] || start_engine
    make_venv
    get_node_packages
    say "ready$(compose_here)"
}

main "$@"
