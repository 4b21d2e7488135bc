# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backup sets at rest: manifest, signature, encryption, retention, quarantine."""
