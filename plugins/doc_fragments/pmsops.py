# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Document the options that several modules share; common/argument_specs.py has the specs."""

from __future__ import annotations


class ModuleDocFragment:
    """The options ``database``, ``redis``, ``api``, ``services``, and those of notifications."""

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

    NOTIFY = r"""
options:
  channels:
    description: Where messages go. Without any, none is sent.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called in messages and metrics.
        type: str
        required: true
      type:
        description:
          - V(email) hands the message to a mail server.
          - V(slack) posts it to an incoming webhook of Slack, or of what takes the same.
          - V(webhook) posts it as JSON.
        type: str
        choices: [email, slack, webhook]
        required: true
      url:
        description: With V(slack) and V(webhook), the address. It is a secret.
        type: str
      token:
        description: Sent along as a bearer token.
        type: str
      host:
        description: With V(email), the mail server.
        type: str
      port:
        description: The mail server's port; 587 where it is not given.
        type: int
      security:
        description: How the connection to the mail server is secured; V(starttls) without it.
        type: str
        choices: [starttls, tls, none]
      username:
        description: User of the mail server; without one nobody logs in.
        type: str
      password:
        description: That user's password.
        type: str
      sender:
        description: Address that mails come from.
        type: str
      recipients:
        description: Addresses that mails go to.
        type: list
        elements: str
      ca_file:
        description: Certificates to trust instead of the system's.
        type: path
  system:
    description: What the system is called in messages.
    type: str
    default: pms-ops
  details:
    description: Let messages hold what errors said, which may be a price or a name of the book.
    type: bool
    default: false
  repeat_minutes:
    description: The same failure is told once in so many minutes.
    type: int
    default: 60
  timeout_seconds:
    description: Seconds that one try may wait for an answer.
    type: int
    default: 10
  attempts:
    description: How often a channel is tried.
    type: int
    default: 3
  deadline_seconds:
    description: Seconds for all channels together.
    type: int
    default: 45
  state_dir:
    description: Folder that remembers what was told and what could not be.
    type: path
    default: ~/.local/state/pms-ops
  metrics_dir:
    description: Folder of node_exporter's textfile collector. Empty writes no metrics.
    type: path
"""
