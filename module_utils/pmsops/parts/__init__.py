# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surrounds the database: taken into a backup set as parts, and put back from one."""
