# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Document the options that several modules share.

common/argument_specs.py has their specs, verify/queries.py that of ``queries``, and
offsite/options.py those of ``offsite``.
"""

from __future__ import annotations

import textwrap

# In the options of a database and of a module alike: each indents it by its own depth.
_APPROVERS = """\
approvers:
  description: The people who may approve.
  type: list
  elements: dict
  default: []
  suboptions:
    name:
      description: Their name.
      type: str
      required: true
    public_key:
      description: Their Ed25519 public key, 32 bytes in Base64.
      type: str
      required: true
    login:
      description: Their login on the managed host, who cannot approve a run of theirs.
      type: str
"""
_CONSENT = """\
required:
  description: Refuse a swap, a rollback and an off-site prune that nobody has approved.
  type: bool
  default: false
system:
  description: Name of the system, which is part of each plan.
  type: str
operator:
  description: The person who orders the run, and cannot approve it.
  type: str
scheduled:
  description: Whether a timer runs it, which can ask nobody.
  type: bool
  default: false
command:
  description: The command by which a plan is approved, without its hash.
  type: str
"""
_CONSENT += _APPROVERS


class ModuleDocFragment:
    """The options of databases, Redis, the PMS, services, queries, notifications and sites."""

    DOCUMENTATION = r"""
options: {}
"""

    AUDIT = r"""
options:
  audit:
    description:
      - What the control node knows of the run (code, playbook, ticket, environment, start), as the
        filter C(pms_audit) returns it; roles pass C(pms_audit). What is recorded then has a block
        C(audit), and none without it.
    type: dict
"""

    DATABASE = r"""
options:
  database:
    description: Address of the database and the role to connect as; roles pass C(pms_database).
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
        description: The maintenance role's password. Passed by environment only.
        type: str
      maintenance_name:
        description: Database to connect to during a swap.
        type: str
        default: postgres
      container:
        description: The database's container; required with V(container).
        type: str
      bin_dir:
        description: Folder of pg_dump, pg_restore and psql, if they are not on the PATH.
        type: path
      consent:
        description:
          - Whether a second person has to approve what replaces this database, and who may. It is
            with the database, so that no task that swaps can leave it out.
        type: dict
        suboptions:
""" + textwrap.indent(_CONSENT, " " * 10)

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
      socket:
        description: A socket of Redis on the managed host, in place of host and port.
        type: path
      db:
        description: Number of the database that the PMS uses (its C(REDIS_DB)).
        type: int
        default: 0
      username:
        description: ACL user. Empty means the user C(default).
        type: str
      password:
        description: Password, if Redis requires one.
        type: str
      tls:
        description: Whether Redis takes TLS connections only; its certificate is checked.
        type: bool
        default: false
      ca_file:
        description: Certificates that sign Redis's own. Empty means those of the system.
        type: path
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
        description: User of the token request. Without a user no token is requested.
        type: str
      password:
        description: That user's password.
        type: str
"""

    SERVICES = r"""
options:
  services:
    description: The services and their manager; roles pass C(pms_services).
    type: dict
    suboptions:
      manager:
        description: The manager that stops and starts them.
        type: str
        choices: [compose, systemd, none]
        default: compose
      compose_project:
        description: Their Compose project.
        type: str
      app_services:
        description: The services that write to the database.
        type: list
        elements: str
        default: []
      parts:
        description: The service of each part (C(api), C(dagster), C(daemon), C(redis) and so on).
        type: dict
        default: {}
"""

    QUERIES = r"""
options:
  queries:
    description:
      - Queries of the PMS that the restored copy must answer, read-only, each within a minute.
    type: list
    elements: dict
    default: []
    suboptions:
      title:
        description: What the query is for.
        type: str
        required: true
      sql:
        description: One statement.
        type: str
        required: true
      needs:
        description: The query is skipped if this table is missing.
        type: str
"""

    NOTIFY = r"""
options:
  channels:
    description: Channels of messages. Without a channel no message is sent.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the channel in messages and metrics.
        type: str
        required: true
      type:
        description:
          - V(email) hands the message to a mail server.
          - V(slack) posts it to an incoming webhook of Slack or a compatible service.
          - V(webhook) posts it as JSON.
          - V(heartbeat) gets no message. It is pinged after each success of a scheduled job, and
            alarms by itself when it hears nothing, for example because the machine is off.
        type: str
        choices: [email, slack, webhook, heartbeat]
        required: true
      url:
        description:
          - Address for all but V(email). It is a secret.
          - With V(heartbeat), C({job}) in it is the name of the job.
        type: str
      jobs:
        description: With V(heartbeat), the scheduled jobs that ping it; all without it.
        type: list
        elements: str
      token:
        description: Bearer token of the request.
        type: str
      host:
        description: With V(email), the mail server.
        type: str
      port:
        description: Port of the mail server; 587 by default.
        type: int
      security:
        description: Encryption of the connection to the mail server; V(starttls) by default.
        type: str
        choices: [starttls, tls, none]
      username:
        description: User of the mail server. Without a user there is no login.
        type: str
      password:
        description: That user's password.
        type: str
      sender:
        description: Sender of the mails.
        type: str
      recipients:
        description: Recipients of the mails.
        type: list
        elements: str
      ca_file:
        description: Certificates to trust instead of the system's.
        type: path
  system:
    description: Name of the system in messages.
    type: str
    default: pms-ops
  details:
    description: Include the text of errors, which may hold a price or a name of the book.
    type: bool
    default: false
  repeat_minutes:
    description: Minutes within which a repeated failure sends no second message.
    type: int
    default: 60
  timeout_seconds:
    description: Seconds that one attempt waits for an answer.
    type: int
    default: 10
  attempts:
    description: Number of attempts per channel.
    type: int
    default: 3
  deadline_seconds:
    description: Seconds for all channels together.
    type: int
    default: 45
  state_dir:
    description: Folder of the record of sent and failed messages.
    type: path
    default: ~/.local/state/pms-ops
  metrics_dir:
    description: Folder of node_exporter's textfile collector. Empty writes no metrics.
    type: path
"""

    CONSENT = r"""
options:
  consent:
    description: Whether a second person has to approve, and who may.
    type: dict
    suboptions:
""" + textwrap.indent(_CONSENT, " " * 6)

    APPROVERS = "options:\n" + textwrap.indent(_APPROVERS, "  ")

    OFFSITE = r"""
options:
  system:
    description: Name of the system, which each copy carries.
    type: str
    required: true
  root:
    description: Folder of the sets.
    type: path
    required: true
  evidence_root:
    description: Folder of the evidence and its ledger.
    type: path
    required: true
  keys:
    description: Folder of the signing keys; only their public halves are copied.
    type: path
    required: true
  repositories:
    description: The repositories of restic, one for each site.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the site.
        type: str
        required: true
      url:
        description:
          - The repository, as restic takes it, such as C(sftp:user@host:/path),
            C(rest:https://host:8000/fund) or C(s3:https://host/bucket). It holds no password.
        type: str
        required: true
      password_file:
        description: File with the repository's password, mode 0600.
        type: path
        required: true
      environment_file:
        description:
          - File with other secrets as C(NAME=value), mode 0600, such as C(AWS_SECRET_ACCESS_KEY).
        type: path
      options:
        description: Extended options of restic, such as C(sftp.args=-p 2222). No secrets.
        type: list
        elements: str
        default: []
      ca_file:
        description: Certificates that sign the site's own.
        type: path
      deletes:
        description: Whether this machine removes old copies there. Better that it cannot.
        type: bool
        default: false
  other_database:
    description: Another database of the server, whose sets O(root) holds; empty is the PMS's.
    type: str
    default: ""
  restic:
    description: The program restic, 0.18 or newer.
    type: str
    default: restic
  timeout_hours:
    description: Hours after which a call that moves data is ended.
    type: float
    default: 12
"""

    FORMER_SERVERS = r"""
options:
  keep_servers:
    description: Number of former servers that stay after O(keep_servers_undo_days); V(0) keeps all.
    type: int
    default: 0
  keep_servers_undo_days:
    description: Days within which no former server goes, so that it can be brought back.
    type: int
    default: 14
  keep_servers_max_days:
    description: Days after which a former server goes, even the only one; V(0) never.
    type: int
    default: 0
"""
