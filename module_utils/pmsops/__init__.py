# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plain Python of pms-ops: nothing in this package imports AnsibleModule."""
