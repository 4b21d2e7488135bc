# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of pms-ops: its only home, shipped to managed hosts with every module.

scripts/release.sh sets it. Between releases it names the next one, with -dev behind it.
"""

from __future__ import annotations

VERSION = "0.2.0-dev"
# The maker that manifests, records and pages name. Readers accept every version.
TOOL = {"name": "pms-ops", "version": VERSION}
