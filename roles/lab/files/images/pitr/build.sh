#!/usr/bin/env bash
# Build the image of Barman, with the client tools of the server's version, from Debian packages.
#
#   build.sh [POSTGRESQL]
#
# A script of its own, because the lab's other images are built again when theirs changes. It needs
# root, mmdebstrap and the network, like those. An image whose recipe is unchanged is kept.
set -euo pipefail
export LC_ALL=C.UTF-8

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE POSTGRESQL=${1:-17}
readonly RECIPE=org.pms-ops.lab.recipe TAG=pms-lab/pitr:$POSTGRESQL
case $POSTGRESQL in
17) SUITE=trixie ;;
18) SUITE=sid ;;
*)
    echo "build.sh: PostgreSQL $POSTGRESQL is not among those that can be built: 17 18" >&2
    exit 2
    ;;
esac
PACKAGES=$(paste -sd, "$HERE/packages")
WANTED=$(cd "$HERE" && { uname -m && echo "$POSTGRESQL" && sha256sum build.sh customize.sh packages; } |
    sha256sum | cut -d' ' -f1)

if [[ $(docker image inspect --format "{{index .Config.Labels \"$RECIPE\"}}" "$TAG" 2>/dev/null) == "$WANTED" ]]; then
    echo "kept pitr"
    exit 0
fi
mmdebstrap --quiet --variant=minbase --include="${PACKAGES//@POSTGRESQL@/$POSTGRESQL}" \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
    --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="sh $HERE/customize.sh \"\$1\"" "$SUITE" - |
    docker import --change "LABEL $RECIPE=$WANTED" \
        --change 'ENV LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        - "$TAG" >/dev/null
echo "built pitr"
