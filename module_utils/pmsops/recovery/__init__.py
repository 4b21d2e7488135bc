# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the disaster playbooks do to servers, services, caches and disks."""
