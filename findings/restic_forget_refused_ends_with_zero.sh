#!/usr/bin/env bash
# Runs:    restic 0.18.0 and rest-server 0.13.0, the packages of Debian 13, fetched by apt from the
#          mirror that this machine is set up for, without root. amd64 or arm64.
# Seen:    rest-server with --append-only refuses to delete a snapshot (403). restic forget says so
#          on stderr, and ends with status 0; with --json, too. The snapshot is still there.
# Guess:   A command whose only task was refused by the server ends with another status than 0.
#          The exit codes in restic's manual ("Scripting": 0, command was successful) say so.
# Matters: a cron job that lets old copies go looks well for years while none goes, and a test of
#          "can this machine delete its copies?" by the status says yes where the server refuses.
#          List the snapshots after each forget, and compare.
# Output:  forget --json: status 0, 1 snapshots after it, 1 before it; on stderr:
#          Remove(<snapshot/56f1e5ce9b>) failed: unexpected HTTP response (403): 403 Forbidden
#          unable to remove snapshot/56f1e5ce9bf7... from the repository
#          forget --quiet: the same
set -euo pipefail
WORK=$(mktemp -d)
trap '{ [ -z "${SERVER:-}" ] || kill "$SERVER"; rm -rf "$WORK"; }' EXIT
mkdir -p "$WORK"/{lists/partial,cache/archives/partial,out}
MIRROR=$(apt-get indextargets --format "\$(REPO_URI)" "Created-By: Packages" "Component: main" |
    grep -v security | grep /debian/ | head -n 1)
echo "deb $MIRROR trixie main" >"$WORK/sources.list"
: >"$WORK/status"
OPTIONS=(-o "Dir::State=$WORK" -o "Dir::State::status=$WORK/status" -o "Dir::Cache=$WORK/cache"
    -o "Dir::Etc::sourcelist=$WORK/sources.list" -o "Dir::Etc::sourceparts=-"
    -o "APT::Sandbox::User=$(id -un)" -o "Acquire::Languages=none")
timeout 120 apt-get -qq "${OPTIONS[@]}" update
(cd "$WORK" && timeout 120 apt-get -qq "${OPTIONS[@]}" download restic restic-rest-server)
for package in "$WORK"/*.deb; do
    dpkg-deb --extract "$package" "$WORK/out"
done
RESTIC=$WORK/out/usr/bin/restic
"$RESTIC" version
case $("$RESTIC" version) in "restic 0.18.0 "*) ;; *) echo "another release"; exit 1 ;; esac

PORT=$(python3 -c '
import socket
stream = socket.socket()
stream.bind(("127.0.0.1", 0))
print(stream.getsockname()[1])')
"$WORK/out/usr/bin/restic-rest-server" --path "$WORK/server" --no-auth --append-only \
    --listen "127.0.0.1:$PORT" >"$WORK/log" 2>&1 &
SERVER=$!
export RESTIC_REPOSITORY="rest:http://127.0.0.1:$PORT/copies" RESTIC_PASSWORD=a \
    RESTIC_CACHE_DIR="$WORK/cache-of-restic"
for _ in $(seq 50); do
    (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break
    sleep 0.1
done
timeout 60 "$RESTIC" --quiet init
echo contents >"$WORK/file"
timeout 60 "$RESTIC" --quiet backup "$WORK/file"
count() {
    timeout 60 "$RESTIC" --json snapshots |
        python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
}
BEFORE=$(count)
for format in --json --quiet; do
    STATUS=0
    timeout 120 "$RESTIC" "$format" forget latest >"$WORK/told" 2>"$WORK/said" || STATUS=$?
    echo "forget $format: status $STATUS, $(count) snapshots after it, $BEFORE before it; on stderr:"
    cat "$WORK/said"
    [ "$STATUS" = 0 ]
    grep -q "unable to remove" "$WORK/said"
    [ "$(count)" = 1 ]
done
[ "$BEFORE" = 1 ]
