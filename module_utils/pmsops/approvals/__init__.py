# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second person's approval of a plan, without which the module that acts refuses."""
