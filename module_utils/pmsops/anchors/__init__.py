# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ways by which the head of the ledger leaves the machine, and what each still knows of it."""
