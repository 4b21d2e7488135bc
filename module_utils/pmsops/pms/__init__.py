# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The PMS itself: its HTTP interface, positions, decision journal and smoke test."""
