#!/usr/bin/env bash
# Prepare a release in the working tree, or begin work on the version after it. Commits nothing.
#
#   scripts/release.sh 0.2.0           set the version, move changelog.d/ into CHANGELOG.md
#   scripts/release.sh --next 0.3.0    after the tag: the version becomes 0.3.0-dev
#
# CONTRIBUTING.md, "Release", has the steps before and after. Exits 2, with nothing changed, where
# the version is malformed, released already, or there is nothing to release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

readonly HOME_OF_VERSION=module_utils/pmsops/common/version.py

refuse() {
    printf 'release: %s\n' "$@" >&2
    exit 2
}

set_version() { sed -i -E "s/^VERSION = \".*\"$/VERSION = \"$1\"/" "$HOME_OF_VERSION"; }

next=false
if [[ ${1:-} == --next ]]; then
    next=true
    shift
fi
version=${1:-}
[[ $# == 1 && $version =~ ^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ ]] ||
    refuse "usage: scripts/release.sh [--next] MAJOR.MINOR.PATCH"
! grep -qF "## $version (" CHANGELOG.md || refuse "CHANGELOG.md has $version already."

if [[ $next == true ]]; then
    set_version "$version-dev"
    printf 'release: the version is %s-dev\n' "$version"
    exit 0
fi

[[ -z $(git status --porcelain) ]] || refuse "The working tree has changes. Commit or stash them first."
compgen -G 'changelog.d/+*.md' >/dev/null || refuse "changelog.d/ has no change to release."
set_version "$version"
towncrier build --yes --version "$version" --date "$(date -u +%F)" >/dev/null
cat <<END
release: $version is prepared. Read CHANGELOG.md and docs/UPGRADING.md, then:
  make test-ci && make collection
  git commit --all --message "release: $version"
  git tag --annotate "v$version" --message "pms-ops $version"
  scripts/release.sh --next MAJOR.MINOR.PATCH
END
