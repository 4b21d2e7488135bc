# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images of a Debian release with some packages, made where the tests need them."""

from __future__ import annotations

import shlex
import subprocess

BUILD_SECONDS = 600
# Gives an image's apt the packages of experimental, and no others from there.
EXPERIMENTAL = """cd "$1/etc/apt" && sed -n 's/ sid / experimental /p' sources.list \
    >sources.list.d/experimental.list && test -s sources.list.d/experimental.list && \
    printf 'Package: {}\\nPin: release a=experimental\\nPin-Priority: 990\\n' \
    >preferences.d/experimental"""
# Gives it those of an older release, too, where it has none of its own.
OLDER = """cd "$1/etc/apt" && sed -n 's/ {} / {} /p' sources.list \
    >sources.list.d/older.list && test -s sources.list.d/older.list"""


def provide(image: str, *, release: str, packages: str, older: str = "") -> None:
    """Make an image, unless there is one of these packages (names with commas between).

    With the release ``experimental`` they are of there, and all else of sid. Packages that the
    release lacks come from *older*, a release before it.
    """
    label = '{{index .Config.Labels "recipe"}}'
    found = subprocess.run(
        ["docker", "image", "inspect", "--format", label, image], capture_output=True, text=True
    )
    if found.stdout.strip() == packages:
        return
    # The index of sid expires within days, which a mirror that lags cannot help. Signatures count.
    suite = "sid" if release == "experimental" else release
    more = "--aptopt='Acquire::Check-Valid-Until \"false\"'" if suite == "sid" else ""
    if suite != release:
        more += f" --setup-hook={shlex.quote(EXPERIMENTAL.format(packages.replace(',', ' ')))}"
    if older:
        more += f" --setup-hook={shlex.quote(OLDER.format(release, older))}"
    build = (
        f"set -o pipefail; mmdebstrap --quiet --variant=minbase --include={packages} {more}"
        " --aptopt='Acquire::Languages \"none\"' --dpkgopt=force-unsafe-io"
        f" --dpkgopt='path-exclude=/usr/share/doc/*' {suite} - | docker import"
        f" --change 'LABEL recipe={packages}' --change 'ENV LANG=C.UTF-8' - {image}"
        # What was imported of a system that could not be made would count as the image.
        f" || {{ docker image rm {image}; exit 1; }}"
    )
    subprocess.run(["bash", "-c", build], check=True, capture_output=True, timeout=BUILD_SECONDS)
