#!/usr/bin/env bash
# Runs:    restic 0.18.0, the package of Debian 13, fetched by apt from the mirror that this machine
#          is set up for, without root. amd64 or arm64. 60 MB of made-up rows, as COPY prints them.
# Seen:    one row in a thousand changed, evenly: 100 % of the file is new to the repository. One
#          row changed: a piece of it, or two. A piece has 0.5 to 8 MiB, cut elsewhere in each
#          repository, and a row 41 bytes, so that every piece has a changed row.
# Guess:   "Incremental and deduplicated": a thousandth of the rows costs about a thousandth.
# Matters: the line to a site and its room are reckoned by the share of rows that change; where they
#          lie counts. A nightly job that touches a row here and there makes each copy a full one.
#          Of a compressed dump one row costs all that follows it in the file: 54 % was measured.
# Output:  first 100 %, unchanged 0 %, one row 6 % (3808 KiB), a thousandth evenly 100 %,
#          appended 2 %. Of a row and of what is appended it is another share in each run: up to
#          two of the largest pieces (28 %), and one (14 %).
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$WORK"/{lists/partial,cache/archives/partial,out}
MIRROR=$(apt-get indextargets --format "\$(REPO_URI)" "Created-By: Packages" "Component: main" |
    grep -v security | grep /debian/ | head -n 1)
echo "deb $MIRROR trixie main" >"$WORK/sources.list"
: >"$WORK/status"
OPTIONS=(-o "Dir::State=$WORK" -o "Dir::State::status=$WORK/status" -o "Dir::Cache=$WORK/cache"
    -o "Dir::Etc::sourcelist=$WORK/sources.list" -o "Dir::Etc::sourceparts=-"
    -o "APT::Sandbox::User=$(id -un)" -o "Acquire::Languages=none")
timeout 120 apt-get -qq "${OPTIONS[@]}" update
(cd "$WORK" && timeout 120 apt-get -qq "${OPTIONS[@]}" download restic)
for package in "$WORK"/*.deb; do
    dpkg-deb --extract "$package" "$WORK/out"
done
RESTIC=$WORK/out/usr/bin/restic
"$RESTIC" version
case $("$RESTIC" version) in "restic 0.18.0 "*) ;; *) echo "another release"; exit 1 ;; esac

export RESTIC_PASSWORD=x RESTIC_REPOSITORY=$WORK/repository RESTIC_CACHE_DIR=$WORK/restic-cache
export RESTIC_PROGRESS_FPS=0.1
"$RESTIC" init --quiet >/dev/null
mkdir "$WORK/set"

# Writes the rows; CHANGE says which of them differ.
rows() {
    CHANGE=$1 python3 - "$WORK/set/1.dat" <<'PYTHON'
import os
import random
import sys

change, fixed = os.environ["CHANGE"], random.Random(7)
with open(sys.argv[1], "w") as out:
    for number in range(1_500_000 + (1_500 if change == "appended" else 0)):
        quantity = fixed.randrange(10_000)
        if change == "evenly" and number % 1000 == 0 or change == "one" and number == 700_000:
            quantity += 1
        print(f"{number}\t2026-01-01 00:00:00+00\tSYM{number % 97}\t{quantity}", file=out)
PYTHON
}

# Prints how many percent of the file were new, and how many KiB.
new() {
    rows "$1"
    "$RESTIC" backup --json "$WORK/set" | python3 -c '
import json
import sys

last = [json.loads(line) for line in sys.stdin][-1]
print(round(100 * last["data_added"] / last["total_bytes_processed"]), last["data_added"] // 1024)'
}

read -r first _ < <(new none)
read -r again _ < <(new none)
read -r one kib < <(new one)
read -r evenly _ < <(new evenly)
rows none && "$RESTIC" backup --quiet "$WORK/set"
read -r appended _ < <(new appended)
echo "first $first %, unchanged $again %, one row $one % ($kib KiB)," \
    "a thousandth evenly $evenly %, appended $appended %"
# One row: at least the smallest piece, at most two of the largest.
[[ $first -ge 99 && $again -eq 0 && $kib -ge 512 && $kib -le $((2 * 8192 + 64)) ]]
[[ $evenly -ge 99 && $appended -le 15 ]]
