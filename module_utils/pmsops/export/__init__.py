# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of a period as one signed zip, which an outsider checks without this project."""
