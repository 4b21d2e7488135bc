#!/usr/bin/env bash
# Build the lab's images: from Debian packages, asking no image registry; or, with "upstream", those
# two upon Python's own image that no registry has (the others Compose pulls).
#
#   build.sh CACHE_DIR PYTHON [built|upstream] [POSTGRESQL]
#
# Keeps an image whose recipe (this file and the image's folder) is unchanged: the recipe's hash is
# a label of the image. Prints "built NAME" or "kept NAME" for each. Logs go to CACHE_DIR.
# POSTGRESQL is the major version: 17 (the default) or 18 with TimescaleDB, or 15 or 19 without it,
# as Debian packages none for those: these images are for tests, not for a lab.
# PYTHON has the pip that fetches Dagster's packages, for the Python 3.13 of Debian 13.
set -euo pipefail
export LC_ALL=C.UTF-8 DOCKER_BUILDKIT=0

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE CACHE=$1 PYTHON=$2 SOURCE=${3:-built} POSTGRESQL=${4:-17}
readonly RECIPE=org.pms-ops.lab.recipe
# The Debian release that packages each PostgreSQL; the other images are of trixie. 19 is in
# experimental, which builds upon sid.
declare -rA RELEASES=([15]=bookworm [17]=trixie [18]=sid [19]=sid)
declare -A TAGS=([timescaledb]=pms-lab/timescaledb:$POSTGRESQL [redis]=pms-lab/redis:8
    [api]=pms-lab/api:1 [dagster]=pms-lab/dagster:1 [upstream]=pms-lab/dagster:upstream)
[[ $POSTGRESQL == 1[78] ]] || TAGS[timescaledb]=pms-lab/postgresql:$POSTGRESQL
readonly TAGS

recipe_of() {
    local folders=("$1")
    [[ $1 != dagster ]] || folders+=(api)      # it builds upon that one
    [[ $1 != upstream ]] || folders+=(dagster) # the same packages
    (
        cd "$HERE"
        uname -m
        [[ $1 != timescaledb ]] || echo "$POSTGRESQL"
        sha256sum build.sh
        find "${folders[@]}" -type f -print0 | sort -z | xargs -0 sha256sum
    ) | sha256sum | cut -d' ' -f1
}

# True for an image of this recipe. Where another checkout of the project has given the name to an
# image of its own recipe, the name is moved back, and nothing is built.
is_kept() {
    local recipe image
    recipe=$(recipe_of "$1")
    image=$(docker image inspect --format "{{index .Config.Labels \"$RECIPE\"}}" "${TAGS[$1]}" 2>/dev/null)
    if [[ $image == "$recipe" ]]; then
        return 0
    fi
    image=$(docker image ls --quiet --filter "label=$RECIPE=$recipe" | head -n 1)
    [[ $1 != upstream && -n $image ]] && docker tag "$image" "${TAGS[$1]}"
}

# A minimal Debian with the packages that the image's folder lists.
build_debian() {
    local name=$1 suite=trixie options=() hook=() packages
    packages=$(paste -sd, "$HERE/$name/packages")
    if [[ $name == timescaledb ]]; then
        suite=${RELEASES[$POSTGRESQL]}
        packages=${packages//@POSTGRESQL@/$POSTGRESQL}
        [[ $POSTGRESQL == 1[78] ]] || packages=postgresql-$POSTGRESQL
        if [[ $POSTGRESQL == 19 ]]; then
            # shellcheck disable=SC2016  # mmdebstrap's shell expands it
            hook+=('--setup-hook=sh '"$HERE/$name"'/experimental.sh "$1"')
        fi
    fi
    if [[ $suite == sid ]]; then
        # The index of sid expires within days, which a mirror that lags cannot help. Signatures count.
        options=(--aptopt='Acquire::Check-Valid-Until "false"')
    fi
    if [[ -e $HERE/$name/customize.sh ]]; then
        hook+=("--customize-hook=sh $HERE/$name/customize.sh \"\$1\"")
    fi
    mmdebstrap --variant=minbase --include="$packages" \
        --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
        --dpkgopt=force-unsafe-io \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' "${options[@]}" "${hook[@]}" \
        "$suite" - |
        docker import --change "LABEL $RECIPE=$(recipe_of "$name")" \
            --change 'ENV LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            - "${TAGS[$name]}"
}

# Fetch the locked wheels for the image's Python and unpack them: the image build needs no network.
fetch_dagster() {
    local context=$CACHE/dagster machine
    machine=$(uname -m)
    rm -rf "$context"
    mkdir -p "$context"
    cp "$HERE/dagster/Dockerfile" "$context"
    "$PYTHON" -m pip install -q --no-input --disable-pip-version-check --require-hashes --no-deps \
        --no-compile --only-binary=:all: --python-version 3.13 --implementation cp \
        --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" \
        --platform "manylinux2014_$machine" --target "$context/site" \
        -r "$HERE/dagster/requirements.txt"
    rm -rf "$context/site/bin" # they name the host's Python
}

build_dagster() {
    docker build -q --network none -t "${TAGS[dagster]}" \
        --label "$RECIPE=$(recipe_of dagster)" "$CACHE/dagster"
    rm -rf "$CACHE/dagster"
}

build_upstream() {
    local context=$CACHE/upstream target
    rm -rf "$context"
    mkdir -p "$context"
    cp "$HERE/upstream/Dockerfile" "$HERE/dagster/requirements.txt" "$context"
    for target in api dagster; do
        docker build -q -t "pms-lab/$target:upstream" --target "$target" \
            --label "$RECIPE=$(recipe_of upstream)" "$context"
    done
    rm -rf "$context"
}

# Run a step with its output in a log, whose end is shown when the step fails.
logged() {
    local log="$CACHE/$1.log"
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        printf 'build.sh: %s failed; the whole log is %s\n' "$*" "$log" >&2
        return 1
    fi
}

main() {
    local name names=(timescaledb api redis dagster) jobs=() stale=()
    [[ $SOURCE != upstream ]] || names=(upstream)
    if [[ -z ${RELEASES[$POSTGRESQL]:-} ]]; then
        echo "build.sh: PostgreSQL $POSTGRESQL is not among those that can be built:" \
            "${!RELEASES[*]}" >&2
        exit 2
    fi
    mkdir -p "$CACHE"
    exec 9>"$CACHE/build.lock"
    flock -w 900 9
    for name in "${names[@]}"; do
        if is_kept "$name"; then
            echo "kept $name"
        else
            stale+=("$name")
        fi
    done
    for name in "${stale[@]}"; do
        case $name in
        dagster) logged dagster-fetch fetch_dagster 9>&- & ;;
        upstream) logged upstream build_upstream 9>&- & ;;
        *) logged "$name" build_debian "$name" 9>&- & ;;
        esac
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job"
    done
    if [[ " ${stale[*]} " == *" dagster "* ]]; then
        logged dagster build_dagster
    fi
    ((${#stale[@]} == 0)) || printf 'built %s\n' "${stale[@]}"
}

main
