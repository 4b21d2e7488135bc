# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module options that several modules share. plugins/doc_fragments/pmsops.py documents them."""

from __future__ import annotations

from typing import Any


def invocation(params: dict[str, Any], *large: str) -> dict[str, Any]:
    """Return how a module was called, for its result, without the values of the *large* options.

    Ansible would send each of them back: to be packed, parsed and kept for each host.
    """
    return {"module_args": params | dict.fromkeys(large, "not repeated here")}


def database() -> dict[str, Any]:
    """Return the argument spec of the option ``database``."""
    return {
        "type": "dict",
        "required": True,
        "options": {
            "access": {"type": "str", "choices": ["container", "host"], "default": "container"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 5432},
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True},
            "maintenance_name": {"type": "str", "default": "postgres"},
            "container": {"type": "str"},
            "bin_dir": {"type": "path"},
            "consent": consent(),
        },
        "required_if": [("access", "container", ["container"])],
    }


def consent() -> dict[str, Any]:
    """Return the argument spec of the option ``consent``."""
    approver = {
        "name": {"type": "str", "required": True},
        "public_key": {"type": "str", "required": True, "no_log": False},
        "login": {"type": "str"},
    }
    return {
        "type": "dict",
        "options": {
            "required": {"type": "bool", "default": False},
            "system": {"type": "str"},
            "operator": {"type": "str"},
            "scheduled": {"type": "bool", "default": False},
            "command": {"type": "str"},
            "approvers": {"type": "list", "elements": "dict", "options": approver, "default": []},
        },
    }


def redis() -> dict[str, Any]:
    """Return the argument spec of the option ``redis``."""
    return {
        "type": "dict",
        "options": {
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 6379},
            "socket": {"type": "path"},
            "db": {"type": "int", "default": 0},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "tls": {"type": "bool", "default": False},
            "ca_file": {"type": "path"},
            "container": {"type": "str"},
        },
    }


def api() -> dict[str, Any]:
    """Return the argument spec of the option ``api``."""
    return {
        "type": "dict",
        "options": {
            "url": {"type": "str"},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
        },
    }


def services() -> dict[str, Any]:
    """Return the argument spec of the option ``services``."""
    return {
        "type": "dict",
        "options": {
            "manager": {
                "type": "str",
                "choices": ["compose", "systemd", "none"],
                "default": "compose",
            },
            "compose_project": {"type": "str"},
            "app_services": {"type": "list", "elements": "str", "default": []},
            "parts": {"type": "dict", "default": {}},
        },
    }


def notify() -> dict[str, Any]:
    """Return the argument spec of the options about notifications."""
    channel = {
        "name": {"type": "str", "required": True},
        "type": {
            "type": "str",
            "choices": ["email", "slack", "webhook", "heartbeat"],
            "required": True,
        },
        "jobs": {"type": "list", "elements": "str"},
        "url": {"type": "str", "no_log": True},
        "token": {"type": "str", "no_log": True},
        "host": {"type": "str"},
        "port": {"type": "int"},
        "security": {"type": "str", "choices": ["starttls", "tls", "none"]},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "sender": {"type": "str"},
        "recipients": {"type": "list", "elements": "str"},
        "ca_file": {"type": "path"},
    }
    return {
        "channels": {"type": "list", "elements": "dict", "options": channel, "default": []},
        "system": {"type": "str", "default": "pms-ops"},
        "details": {"type": "bool", "default": False},
        "repeat_minutes": {"type": "int", "default": 60},
        "timeout_seconds": {"type": "int", "default": 10},
        "attempts": {"type": "int", "default": 3},
        "deadline_seconds": {"type": "int", "default": 45},
        "state_dir": {"type": "path", "default": "~/.local/state/pms-ops"},
        "metrics_dir": {"type": "path"},
    }


def audit() -> dict[str, Any]:
    """Return what the control node knows of a run; evidence/audit.py describes it."""
    return {"type": "dict"}
