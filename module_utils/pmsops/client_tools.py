# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which client tools there are: the host's, or those of the database's own image."""

from __future__ import annotations

from ansible.module_utils.pmsops.clients import ClientTools
from ansible.module_utils.pmsops.database import Database
from ansible.module_utils.pmsops.host_tools import HostTools
from ansible.module_utils.pmsops.sidecars import SidecarTools


def of(database: Database) -> ClientTools:
    """Return the client tools for the way in which *database* is reached.

    :raises OpsError: clients.engine, clients.container.
    """
    return HostTools(database) if database.access == "host" else SidecarTools(database)
