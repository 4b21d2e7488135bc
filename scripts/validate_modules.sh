#!/usr/bin/env bash
# Compare each module's documentation with its argument spec, by ansible-test's own validator.
#
# ansible-test accepts no tree outside ansible_collections/, so it reads the collection that
# scripts/build_collection.py lays out. No network; about two seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$PWD/.venv/bin/python
[[ -x $python ]] || python=python3

copy=$(mktemp -d)
validating=
# Whoever ends this script ends the validator, too: without the copy it would name a module as missing.
trap '[[ -z $validating ]] || { kill "$validating" && wait "$validating"; } 2>/dev/null || true; rm -rf "$copy"' EXIT
cd "$("$python" scripts/build_collection.py --tree "$copy")"
validator=$("$python" - <<'PY'
import pathlib
import ansible_test
print(pathlib.Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py")
PY
)
ANSIBLE_COLLECTIONS_PATH="$copy" PYTHONPATH="$copy" PYTHONWARNINGS=ignore \
    timeout 120 "$python" "$validator" --format plain --arg-spec --warnings \
    --collection ansible_collections/pmsops/pms --collection-version 0.0.1 plugins/modules/*.py &
validating=$!
wait "$validating"
