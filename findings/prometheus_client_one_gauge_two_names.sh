#!/usr/bin/env bash
# Runs:    prometheus_client 0.26.0, all defaults.
# Seen:    one Gauge("pms.backup.age") is written under two names: write_to_textfile() writes
#          {"pms.backup.age"}, an HTTP scrape without `escaping=` and generate_latest() write
#          pms_backup_age. Gauge("pms_backup_age") beside it is no "Duplicated timeseries": the
#          scrape has the series twice, with two values, HELP and TYPE twice. Labels "a.b" and "a_b"
#          become {a_b="1",a_b="2"}, which the library's own parser refuses. Gauge("2nd") becomes
#          _nd.
# Guess:   a name with a dot is refused, as 0.21.1 does ("Invalid metric name"); or it has one
#          spelling everywhere, and the registry refuses what would be written twice.
# Matters: an alert on pms_backup_age is silent when the same program reports through
#          node_exporter's textfile collector instead of HTTP. On the other way Prometheus gets two
#          values for one series and keeps one. Set PROMETHEUS_LEGACY_NAME_VALIDATION=true, or check
#          names yourself.
# Output:  file:   {"pms.backup.age"} 1.0, pms_backup_age 2.0,
#                  lag{"a.b"="1",a_b="2"} 3.0, {"2nd"} 4.0
#          scrape: pms_backup_age 1.0, pms_backup_age 2.0, lag{a_b="1",a_b="2"} 3.0, _nd 4.0
#          parser: Invalid labels: a_b="1",a_b="2"
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile prometheus-client==0.26.0

timeout 60 "$WORK/venv/bin/python" - "$WORK/pms.prom" <<'PYTHON'
import sys
import urllib.request
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, start_http_server, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

registry = CollectorRegistry()
Gauge("pms.backup.age", "Age", registry=registry).set(1)
Gauge("pms_backup_age", "Age", registry=registry).set(2)
Gauge("lag", "Lag", ["a.b", "a_b"], registry=registry).labels("1", "2").set(3)
Gauge("2nd", "Second", registry=registry).set(4)
try:
    Gauge("pms_backup_age", "Age", registry=registry)
    refused = False
except ValueError:
    refused = True  # what is spelled alike is refused


def series(text):
    return [line for line in text.splitlines() if not line.startswith("#")]


file = Path(sys.argv[1])
write_to_textfile(str(file), registry)
in_file = file.read_text()
server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10) as answer:
    scraped = answer.read().decode()
server.shutdown()
server.server_close()
thread.join(10)
try:
    list(text_string_to_metric_families(scraped))
    parsed = "read"
except ValueError as error:
    parsed = str(error)
print("file:  ", ", ".join(series(in_file)))
print("scrape:", ", ".join(series(scraped)))
print("parser:", parsed)
assert refused
assert series(in_file) == [
    '{"pms.backup.age"} 1.0', "pms_backup_age 2.0", 'lag{"a.b"="1",a_b="2"} 3.0', '{"2nd"} 4.0'
], in_file
assert series(scraped) == [
    "pms_backup_age 1.0", "pms_backup_age 2.0", 'lag{a_b="1",a_b="2"} 3.0', "_nd 4.0"
], scraped
assert scraped.count("# TYPE pms_backup_age gauge") == 2, scraped
assert parsed == 'Invalid labels: a_b="1",a_b="2"', parsed
PYTHON
