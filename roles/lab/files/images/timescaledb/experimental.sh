#!/bin/sh
# Give the image's apt the packages of PostgreSQL in Debian's experimental, and no others from there.
#
#   experimental.sh ROOT
set -eu
sources=$1/etc/apt/sources.list
sed -n 's/ sid / experimental /p' "$sources" >"$1/etc/apt/sources.list.d/experimental.list"
test -s "$1/etc/apt/sources.list.d/experimental.list"
cat >"$1/etc/apt/preferences.d/experimental" <<'EOF'
Package: libpq5 postgresql*
Pin: release a=experimental
Pin-Priority: 990
EOF
