# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors of a trial as findings: each cause once, with its object and its remedy."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.backup import trial_findings
from ansible.module_utils.pmsops.backup.verdict import NOT_RUN, PASSED, REFUSED, Finding, Verdict


def row(name, error, command="CREATE ..."):
    text = f"could not execute query: ERROR:  {error} / Command was: {command} / );"
    return {"object": name, "error": text}


def test_a_cause_is_named_and_what_follows_from_it_is_counted():
    findings = trial_findings.to_findings(
        [
            row("TABLE public.funds", 'unrecognized parameter "attver"'),
            row("TABLE public.funds", 'relation "public.funds" does not exist'),
            row("VIEW public.open", 'relation "public.funds" does not exist'),
            row("VIEW public.more", 'relation "public.open" does not exist'),
            row("TABLE other macro_user", 'role "gone" does not exist'),
        ]
    )
    assert [each.object for each in findings] == ["TABLE public.funds", "TABLE other macro_user"]
    assert findings[0].what == 'unrecognized parameter "attver"'
    assert "own version to the minor" in findings[0].remedy
    assert findings[1].what == 'role "gone" does not exist (3 more errors follow from these)'


def test_a_view_on_a_chunk_is_not_judged():
    error = 'relation "_timescaledb_internal._hyper_1_1_chunk" does not exist'
    assert trial_findings.to_findings([row("VIEW public.of_a_chunk", error)]) == []


@pytest.mark.parametrize(
    "error",
    [
        "could not extend file: No space left on device",
        "connection to server at 127.0.0.1 failed: FATAL: sorry, too many clients already",
        "server closed the connection unexpectedly",
        "out of shared memory",
        "terminating connection due to administrator command",
    ],
)
def test_a_fault_of_the_server_is_none_of_the_set(error):
    with pytest.raises(trial_findings.NotRun, match="the server failed meanwhile"):
        trial_findings.to_findings([row("TABLE public.t", error)])


def test_an_extension_of_one_database_only_has_its_own_remedy():
    (finding,) = trial_findings.to_findings(
        [row("EXTENSION pg_cron", "can only create extension in database postgres")]
    )
    assert "cron.database_name" in finding.remedy


def test_two_verdicts_are_one():
    finding = Finding("TABLE t", "is wrong.", "Mend it.")
    rows = Verdict(REFUSED, "one was late", [finding], ["a column"], 0.5)
    found = Verdict(NOT_RUN, "the disk is full", seconds=1.0).joined(rows)
    assert found.document() == {
        "status": "refused",
        "reason": "the disk is full; one was late",
        "findings": [{"object": "TABLE t", "what": "is wrong.", "remedy": "Mend it."}],
        "count": 1,
        "deviations": ["a column"],
        "seconds": 1.5,
    }
    assert Verdict(PASSED).joined(Verdict(PASSED)).warnings() == []


def test_a_long_verdict_is_cut_for_people_and_counted():
    findings = [Finding(f"TABLE t{n}", "is wrong.", "Mend it.") for n in range(150)]
    found = Verdict(REFUSED, findings=findings)
    assert len(found.warnings()) == 14
    assert found.warnings()[-1] == "and 138 more, in the manifest's trial"
    assert (len(found.document()["findings"]), found.document()["count"]) == (100, 150)
