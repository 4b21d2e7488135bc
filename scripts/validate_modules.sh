#!/usr/bin/env bash
# Compare each module's documentation with its argument spec, by ansible-test's own validator.
#
# ansible-test accepts no tree outside ansible_collections/, so the modules are copied into a
# throw-away collection, their imports rewritten to it. No network; about a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly COLLECTION=pms/ops

python=.venv/bin/python
[[ -x $python ]] || python=python3
shopt -s nullglob
modules=(library/*.py)
if ((${#modules[@]} == 0)); then
    echo "validate_modules: library/ has no modules"
    exit 0
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
root="$copy/ansible_collections/$COLLECTION"
mkdir -p "$root"/plugins/{modules,module_utils,doc_fragments} "$root/meta"
cp "${modules[@]}" "$root/plugins/modules/"
cp -r module_utils/pmsops "$root/plugins/module_utils/"
cp plugins/doc_fragments/*.py "$root/plugins/doc_fragments/"
cat >"$root/galaxy.yml" <<'YAML'
namespace: pms
name: ops
version: 0.0.1
readme: README.md
authors: [pms-ops]
YAML
echo 'requires_ansible: ">=2.19.0"' >"$root/meta/runtime.yml"

# Imports and documentation fragments by the names that they have inside a collection.
find "$root/plugins" -name '*.py' -exec sed -i -E \
    -e 's/ansible\.module_utils\.pmsops/ansible_collections.pms.ops.plugins.module_utils.pmsops/' \
    -e 's/from ansible\.module_utils import pmsops/from ansible_collections.pms.ops.plugins.module_utils import pmsops/' \
    {} +
find "$root/plugins/modules" -name '*.py' -exec sed -i -E \
    -e '/^extends_documentation_fragment:/s/\bpmsops(\.[a-z_]+)?\b/pms.ops.pmsops\1/g' \
    -e 's/\bM\(pms_/M(pms.ops.pms_/g' \
    -e '/^extends_documentation_fragment:$/,/^[a-z]/s/^( +- )pmsops/\1pms.ops.pmsops/' {} +

validator=$("$python" - <<'PY'
import pathlib
import ansible_test
print(pathlib.Path(ansible_test.__file__).parent / "_util/controller/sanity/validate-modules/validate.py")
PY
)
[[ $python == python3 ]] || python=$PWD/$python
cd "$root"
ANSIBLE_COLLECTIONS_PATH="$copy" PYTHONPATH="$copy" PYTHONWARNINGS=ignore \
    timeout 120 "$python" "$validator" --format plain --arg-spec --warnings \
    --collection "ansible_collections/$COLLECTION" --collection-version 0.0.1 plugins/modules/*.py
