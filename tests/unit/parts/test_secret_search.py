# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.parts import secret_search


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD: hunter2",
        'environment: {"REDIS_PASSWORD": "hunter2"}',
        "GF_SECURITY_ADMIN_PASSWORD=hunter2",
        "api_key: abc",
        "JWT_SECRET_KEY = 'x'",
        "REDISCLI_AUTH=hunter2",
        "url: postgresql://macro_user:hunter2@timescaledb/macro",
        "url: redis://:hunter2@redis:6379/0",
        "requirepass hunter2",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_a_secret_is_found_and_not_repeated(text):
    why = secret_search.reason(f"services:\n{text}\n".encode())
    assert why == "line 2 looks like a secret"


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?}",
        "POSTGRES_PASSWORD_FILE: /run/secrets/postgres",
        "password:",
        '"title": "Risk", "author": "desk"',
        "image: grafana/grafana:11.2.0",
        "secrets:",
        "  secrets: [jwt]",
        "url: http://timescaledb:5432",
    ],
)
def test_a_file_without_one_is_kept(text):
    assert secret_search.reason(text.encode()) is None


def test_what_cannot_be_searched_is_not_kept():
    assert "no text" in secret_search.reason(b"SQLite format 3\0")
    assert "no text" in secret_search.reason(b"\xff\xfe")
