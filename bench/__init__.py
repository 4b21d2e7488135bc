# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measurements with bars: `make bench` runs them on a lab of their own and prints the table."""
