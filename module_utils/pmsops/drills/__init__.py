# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drills on another host: a copy from a site is restored and proved away from the source."""
