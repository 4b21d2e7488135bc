# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of an incident, its page, and the log of requests sent to the PMS."""
