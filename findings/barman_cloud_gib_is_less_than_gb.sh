#!/usr/bin/env bash
# Runs:    barman 3.19.0 (3.20.1 does the same): the options of barman-cloud-backup, and
#          barman.conf.
# Seen:    --max-archive-size and --min-chunk-size take GB as 1024^3 and GiB as 1000^3, the reverse
#          of IEC and SI; 1G is an error. In barman.conf the options for the same upload take Gi as
#          1024^3 and G as 1000^3; there 1GB and 1GiB are errors. No spelling means the same in
#          both.
# Guess:   GiB is the larger one, and what barman.conf calls 1Gi is 1GiB on the command line.
# Matters: an object store that wants parts of 5 MiB refuses what `--min-chunk-size 5MiB` sends:
#          5,000,000 bytes are too few, and nothing tells before the upload. Moving a tuned command
#          line into barman.conf changes each size by up to 10 % without a word. Write plain bytes.
# Output:  command line: 1GB 1073741824, 1GiB 1000000000, 5MiB 5000000, 1G refused
#          barman.conf:  1G 1000000000, 1Gi 1073741824, 1GB and 1GiB refused
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
# The package asks for psycopg2, which is built from its source; psycopg2-binary is the same module.
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile --no-deps \
    barman==3.19.0 psycopg2-binary==2.9.13 python-dateutil==2.9.0.post0 six==1.17.0

timeout 60 "$WORK/venv/bin/python" - <<'PYTHON'
import contextlib
import io

from barman.clients.cloud_backup import parse_arguments
from barman.config import parse_si_suffix


def command_line(size):
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the usage
            found = parse_arguments(
                ["--max-archive-size", size, "--min-chunk-size", size, "s3://bucket", "pms"]
            )
    except SystemExit:
        return "refused"
    assert found.max_archive_size == found.min_chunk_size
    return found.max_archive_size


def configuration(size):
    """The value of cloud_upload_max_archive_size and cloud_upload_min_chunk_size."""
    try:
        return parse_si_suffix(size)
    except ValueError:
        return "refused"


first = {size: command_line(size) for size in ("1GB", "1GiB", "5MiB", "1G", "1Gi")}
second = {size: configuration(size) for size in ("1G", "1Gi", "1GB", "1GiB")}
print("command line:", first)
print("barman.conf: ", second)
assert first == {
    "1GB": 1024**3, "1GiB": 1000**3, "5MiB": 5_000_000, "1G": "refused", "1Gi": "refused"
}, first
assert second == {"1G": 1000**3, "1Gi": 1024**3, "1GB": "refused", "1GiB": "refused"}, second
PYTHON
