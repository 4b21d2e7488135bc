# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which texts of an inventory are secrets that no file of an export may have."""

from __future__ import annotations

from plugins.filter.secret_texts import secret_texts


def test_secrets_are_found_by_their_names_wherever_they_are():
    inventory = {
        "pms_db_password": "database-1",
        "ansible_become_pass": "become-it-1",
        "pms_keys_dir": "/etc/pms-ops/keys",
        "schedule_vault_password_file": "/home/ops/.vault-pass",
        "pms_api": {"token_path": "/api/v1/auth/token", "password": "api-secret"},
        "offsite_repositories": [{"name": "vault", "environment": {"AWS_SECRET_KEY": "aws-key-1"}}],
        "notify_channels": [
            {"name": "risk-officer", "type": "mail", "host": "mail.example.net"},
            {"name": "chat", "type": "webhook", "url": "https://chat.example.net/T0/B1/x"},
        ],
        "grafana_password": "short",
        "hostvars": {"other": {"pms_db_password": "of-another-host"}},
    }
    assert secret_texts(inventory) == [
        "api-secret",
        "aws-key-1",
        "become-it-1",
        "database-1",
        "https://chat.example.net/T0/B1/x",
    ]
