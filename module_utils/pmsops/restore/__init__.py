# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restore a set into a staging database, prove it, swap it in, roll it back."""
