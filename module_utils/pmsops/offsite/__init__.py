# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies of sets and evidence on other sites, by restic: made, proved, fetched and let go."""
