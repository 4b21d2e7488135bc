# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The choice of client tools: those of the host, or those of the database's image."""

from __future__ import annotations

from ansible.module_utils.pmsops.client_tools.base import ClientTools
from ansible.module_utils.pmsops.client_tools.host import HostTools
from ansible.module_utils.pmsops.client_tools.sidecar import SidecarTools
from ansible.module_utils.pmsops.postgresql.connection import Database
from ansible.module_utils.pmsops.services import docker_engine


def for_database(database: Database) -> ClientTools:
    """Return the client tools for the access to *database*: container or host.

    :raises OpsError: clients.engine, clients.container, clients.engine-elsewhere.
    """
    if database.access == "host":
        return HostTools(database)
    docker_engine.require_here()  # a sidecar reads and writes folders of this machine
    return SidecarTools(database)
