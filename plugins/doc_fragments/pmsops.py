# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the options that several modules share; specs.py holds their specs."""

from __future__ import annotations


class ModuleDocFragment:
    """The options ``database``, ``redis``, ``api`` and ``services``."""

    DOCUMENTATION = r"""
options: {}
"""

    DATABASE = r"""
options:
  database:
    description: Where the database is and as whom to connect; roles pass C(pms_database).
    type: dict
    required: true
    suboptions:
      access:
        description:
          - V(container) runs client tools in a sidecar of the database's own image.
          - V(host) runs those installed on the managed host.
        type: str
        choices: [container, host]
        default: container
      host:
        description: Address that SQL connections go to.
        type: str
        default: 127.0.0.1
      port:
        description: Port that SQL connections go to.
        type: int
        default: 5432
      name:
        description: The database.
        type: str
        required: true
      user:
        description: The maintenance role.
        type: str
        required: true
      password:
        description: The maintenance role's password. Travels by environment only.
        type: str
      maintenance_name:
        description: Database to connect to while the PMS's own is swapped.
        type: str
        default: postgres
      container:
        description: The database's container; required with V(container).
        type: str
      bin_dir:
        description: Folder of pg_dump, pg_restore and psql, where they are not on the PATH.
        type: path
"""

    REDIS = r"""
options:
  redis:
    description: The PMS's Redis; roles pass C(pms_redis).
    type: dict
    suboptions:
      host:
        description: Address.
        type: str
        default: 127.0.0.1
      port:
        description: Port.
        type: int
        default: 6379
      password:
        description: Password, where Redis asks for one.
        type: str
      container:
        description: Redis's container.
        type: str
"""

    API = r"""
options:
  api:
    description: The PMS's HTTP interface; roles pass C(pms_api).
    type: dict
    suboptions:
      url:
        description: Base URL.
        type: str
      username:
        description: User to ask a token for; without one none is asked for.
        type: str
      password:
        description: That user's password.
        type: str
"""

    SERVICES = r"""
options:
  services:
    description: How services are stopped and started; roles pass C(pms_services).
    type: dict
    suboptions:
      manager:
        description: What manages them.
        type: str
        choices: [compose, systemd, none]
        default: compose
      compose_project:
        description: The Compose project they belong to.
        type: str
      app_services:
        description: The services that write to the database.
        type: list
        elements: str
        default: []
"""
