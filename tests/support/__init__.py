# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What tests share: servers, stand-ins, faults, checklists. No test is in here."""
