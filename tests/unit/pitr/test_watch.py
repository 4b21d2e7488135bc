# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at the stream: what is asked, and what an answer means."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from ansible.module_utils.pmsops.pitr import watch
from ansible.module_utils.pmsops.pitr.watch import Answer, Target

TARGET = Target("pms_pitr", "pms_pitr")
WELL = "receiving\nfree 900000\nslot reserved t 0\nserver   \n"


def seen(*answers: Answer) -> tuple[str | None, int]:
    """Return the code of what is seen, and how often was looked."""
    given = list(answers)
    found = watch.look(TARGET, lambda _: given.pop(0), lambda _: None)
    return (found.problem.code if found.problem else None), len(answers) - len(given)


def answer(output: str, errors: str = "", status: int = 0) -> Answer:
    return Answer(status, output, errors)


def test_a_stream_that_runs_is_looked_at_once():
    assert seen(answer(WELL)) == (None, 1)
    found = watch.judge(answer(WELL.replace("t 0", "t 5242880")), TARGET)
    assert (found.slot, found.lag_bytes) == ("reserved", 5242880)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("receiving\nfree 900000\nslot lost f \nserver   \n", "pitr.slot-lost"),
        ("receiving\nfree 900000\nserver   \n", "pitr.slot-missing"),
    ],
)
def test_a_lost_slot_is_a_problem_at_the_first_look(lines, code):
    assert seen(answer(lines)) == (code, 1)


NO_SERVER = 'psql: error: connection to server at "db" failed: Connection refused'
LASTING = {
    "pitr.not-running": answer("", "Error response from daemon: No such container: pms_pitr", 1),
    "pitr.watch-unanswered": answer("", "ssh: connect to host db port 22: No route to host", 255),
    "pitr.server-down": answer("receiving\nfree 900000\n", NO_SERVER, 2),
    "pitr.not-streaming": answer("free 900000\nslot reserved f \nserver   \n"),
    "pitr.archive-full": answer("receiving\nfree 12\nslot reserved t 0\nserver   \n"),
}


@pytest.mark.parametrize("code", LASTING)
def test_what_may_pass_by_itself_is_looked_at_twice(code):
    assert seen(LASTING[code], LASTING[code]) == (code, 2)
    assert seen(LASTING[code], answer(WELL)) == (None, 2)


@pytest.mark.parametrize("state", ["is not running", "is restarting, wait until the container"])
def test_a_container_that_does_not_run_is_named(state):
    told = answer("", f"Error response from daemon: Container 12ab {state}", 1)
    assert watch.judge(told, TARGET).problem.code == "pitr.not-running"


def test_a_receiver_without_a_connection_is_no_stream():
    assert watch.judge(answer(WELL.replace("reserved t 0", "reserved f ")), TARGET).problem


def test_elsewhere_the_command_is_one_word_of_a_shell():
    target = Target.from_options(
        {"container": "it's", "slot": "s", "connection": ["ssh", "db"], "become": ["sudo", "-n"]}
    )
    ssh, host, words = target.command()
    assert (ssh, host) == ("ssh", "db")
    assert shlex.split(words) == [
        "sudo", "-n", *Target("it's", "s").command(),
    ]  # fmt: skip


def test_a_command_that_hangs_or_is_not_there_is_an_answer(monkeypatch):
    monkeypatch.setattr(watch, "SECONDS", 0.05)
    assert watch.ask(["sleep", "5"]).status == 124
    assert watch.ask(["/no/such/program"]).status == 127


def test_a_look_imports_no_client_of_the_database_and_no_docker():
    """Twice a minute, each import counts."""
    code = (
        "import tests.conftest, sys; before = set(sys.modules);"
        "import ansible.module_utils.pmsops.pitr.watch;"
        "print([m for m in ('psycopg2', 'docker', 'requests', 'ssl') "
        "if m in set(sys.modules) - before])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said.strip() == "[]"
