# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records of gate runs, the hash-chained ledger, history and status."""
