# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The texts of the report for a period, in English. words_pt.py has the same keys."""

from __future__ import annotations

WORDS = {
    "language": "en",
    "title": "Evidence of operations",
    "skip": "To the contents",
    "period": "Period",
    "to": "to",
    "system": "System",
    "host": "Host",
    "environment": "Environment",
    "lines_of": "lines: {count}",
    "begins": "The ledger begins on {day}; before it there is no record.",
    "none_since": "None on record since {day}, where the ledger begins.",
    "made_at": "Exported",
    "zone": "All times are of São Paulo, unless they say otherwise.",
    "reading": "A number of a line is its seq in ledger/lines.jsonl or ledger/earlier.jsonl of the"
    " export. NOT MEASURED means that nobody can tell; it never counts as passed. Not on record"
    " means that the line has no such entry. What records say stands as it was written.",
    "not_on_record": "not on record",
    "nothing": "none",
    "signed_by": "Signed by key",
    "period_open": "The period is not over: what comes after the export is not in this report.",
    "empty": "This period is empty: the ledger has no line of it.",
    "whole": "The ledger is whole: {host}, which made this export, checked the chain and the"
    " signatures itself, {moment}. Nobody else did.",
    "clock": "Clock",
    "at_most": "at most {offset} off",
    "code": "Code",
    "run_ids": "Names of runs, sets and incidents begin with a time in UTC.",
    "confidential": "Confidential: records of go-live runs and incidents in this zip have"
    " positions, prices and P&L of the fund where a check or an incident noted them.",
    "problems": "What cannot be trusted",
    "problems_lead": "The evidence itself is damaged or incomplete. Each fault is named here, and"
    " verify.py finds it again.",
    "notes": "Notes of the ledger",
    "none": "None in this period.",
    "table": "Table",
    "scroll": "The table is wide: scroll it sideways.",
    "line": "Line",
    "at": "Time",
    "verdict": "Verdict",
    "pass": "passed",
    "fail": "failed",
    "not_measured": "NOT MEASURED",
    "why": "Reason",
    "who": "Who",
    "set": "Set",
    "key": "Key",
    "of_database": "of database",
    "line_of": "line",
    # At a glance
    "glance": "At a glance",
    "tile_runs": "go-live runs passed",
    "tile_unanswered": "passed runs have blockers that were not measured",
    "tile_unanswered_1": "passed run has blockers that were not measured",
    "tile_sets": "sets proved",
    "tile_drills": "drills and proofs passed",
    "tile_missed": "planned runs that were missed",
    "tile_missed_1": "planned run that was missed",
    "tile_incidents": "incidents",
    "tile_incidents_1": "incident",
    "tile_deficiencies": "open deficiencies",
    "tile_deficiencies_1": "open deficiency",
    # Planned and done
    "plan": "Planned, done, failed, missed",
    "plan_lead": "The schedule against the ledger. A run is missed if the ledger has no line of it"
    " before the next one was due: it did not run, or failed before it wrote a line.",
    "no_plan": "NOT MEASURED: this host has no schedule that can be read, so nobody can tell what"
    " was planned.",
    "job": "Job",
    "when": "When (São Paulo)",
    "planned": "Planned",
    "done": "Done",
    "failed": "Failed",
    "missed": "Missed",
    "missed_at": "Missed at",
    "more": "more",
    "failed_before": "Counted as done, though a run of it had failed before; due at",
    "unknown_until": "NOT MEASURED before {moment}: the schedule was not known then",
    "unrecorded": "NOT MEASURED: the ledger has no lines of this job",
    "daily": "daily",
    "business_days": "on business days of B3",
    "week_start": "on the first business day of a week",
    "month_start": "on the first business day of a month",
    "Mon": "on Mondays",
    "Tue": "on Tuesdays",
    "Wed": "on Wednesdays",
    "Thu": "on Thursdays",
    "Fri": "on Fridays",
    "Sat": "on Saturdays",
    "Sun": "on Sundays",
    # Runs
    "runs": "Go-live runs",
    "run": "Run",
    "checks": "Checks passed",
    "checks_of": "{passed} of {total}",
    "attested_more": "and {count} attested by a person",
    "pass_warned": "passed, with warnings",
    "unanswered": "Blockers not measured, {count}",
    "unmeasured_checks": "Not measured",
    "blocking": "Blockers",
    "control": "Negative control",
    "partial": "partial",
    "failed_checks": "Failed checks",
    "waived_checks": "Did not pass, and a waiver let them through",
    "flaky_checks": "Passed only at a later attempt (flaky)",
    "found": "found",
    "not_found": "NOT FOUND: the proof is broken",
    # Sets
    "sets": "Backup sets, and which were proved",
    "sets_lead": "A set is proved if a drill, a proof or a restore brought back the rows and the"
    " objects of its database and found them equal. What the proof did not cover stands beside it."
    " What nobody tried is not proved.",
    "not_proved_of": "The proof did not cover",
    "encrypted": "Encrypted",
    "yes": "yes",
    "no": "no",
    "left_out": "Left out of this set",
    "ran_by": "Run by; order or ticket",
    "made": "Made",
    "size": "Size",
    "rows": "Rows",
    "proved": "Proved",
    "not_proved": "not proved",
    "state": "At the export",
    "there": "present on the disk",
    "held": "held",
    "damaged": "damaged",
    "set_aside": "set aside as damaged: its folder ends in .damaged",
    "removed": "removed",
    "unknown": "NOT MEASURED: it is not on the disk, and no line says that it was removed",
    # Times
    "times": "Recovery time and recovery point against their targets",
    "times_lead": "Each drill and proof of the period. A drill of which a value was not measured"
    " has no dot on its curve.",
    "rto": "Recovery time (RTO)",
    "rpo": "Recovery point (RPO)",
    "target": "target",
    "no_target": "no target",
    "over": "over the target",
    "within": "within the target",
    "of_measured": "of the measured phases",
    "interval": "Longest time without a new set, to the end of the period or to the export",
    "where": "Where",
    "here": "on the host itself",
    "segregated": "segregated",
    "not_segregated": "not segregated",
    "chart_of": "{what}, {unit}. The line without dots is the target.",
    "chart_without": "{what}, {unit}",
    "no_times": "NOT MEASURED: no drill of this period says how long it took.",
    "phases": "Phases",
    "elapsed": "From the start of the run to its record:",
    "detect": "detect",
    "decide": "decide",
    "fetch": "fetch",
    "restore_phase": "restore",
    "verify": "verify",
    "resume": "resume",
    # Waivers
    "waivers": "Waivers in force",
    "check": "Check",
    "since": "From",
    "until": "Until",
    # Holds and deletions
    "holds": "Holds and deletions",
    "holds_now": "Holds at the export",
    "hold_acts": "Holds that were in force, and lifted",
    "hold_acts_lead": "Releases before 0.2.0 wrote no lines of holds.",
    "hold_held": "held",
    "hold_lifted": "hold lifted",
    "held_since": "Held since",
    "no_holds": "No set that is on the disk is held.",
    "deletions": "Deletions",
    "by_policy": "by retention",
    "by_person": "by a person, or found missing",
    "on_site": "on another site",
    # Restores and disasters
    "restores": "Restores and disasters",
    "restores_of": "Restores, swaps and rollbacks",
    "kind": "Kind",
    "kind_restore": "restore",
    "kind_swap": "swap",
    "kind_rollback": "rollback",
    "kind_host": "new machine",
    "down": "PMS down for",
    "former": "Replaced database",
    "incidents": "Incidents",
    "incident": "Incident",
    "began": "Began",
    "closed": "Closed",
    "open": "open",
    "recovery": "Recovery took",
    "cause": "Cause",
    "data_loss": "Data loss",
    "loss_not_measured": "NOT MEASURED: the playbook noted no loss, and did not compare each row",
    "incidents_lead": "An incident began, as told here, when the playbook that recovered it was"
    " started. When the failure itself began is NOT MEASURED: nobody recorded it. The recovery took"
    " from that start to the end of the checks; the time until somebody noticed is not in it.",
    "unreadable": "its record cannot be read",
    # Checklists
    "checklists": "Versions of the checklist",
    "version": "Version (SHA-256)",
    "first_run": "First run",
    "last_run": "Last run",
    "runs_count": "Runs",
    "checks_count": "Checks (blockers)",
    "added": "Added",
    "first_version": "first version of the period",
    "unchanged": "none",
    "dropped": "Dropped",
    # Not covered
    "not_covered": "What this does not cover",
    "not_covered_lead": "Records say of themselves what they do not cover.",
    "records_count": "Records",
    "not_covered_none": "No record of this period names anything.",
    # Mapping
    "mapping": "Where a rule may look",
    "mapping_lead": "This table follows headings only, and is no legal opinion. Counsel has to"
    " confirm for each rule whether it applies and whether this evidence satisfies it.",
    "rule": "Rule, by its heading",
    "sections": "Sections of this report",
    "gaps": "What these sections lack",
    "gap_none": "no rows",
    "rule_dora": "DORA, Article 12: backup policies and procedures, restoration and recovery"
    " procedures and methods",
    "rule_cvm": "CVM Resolution 21: yearly report on rules, procedures and internal controls",
    "rule_anbima": "ANBIMA: business continuity plan and its yearly test",
    "rule_soc_12": "SOC 2, A1.2: data backup processes and recovery infrastructure",
    "rule_soc_13": "SOC 2, A1.3: tests of recovery plan procedures",
    "rule_iso": "ISO/IEC 27001:2022, A.8.13: information backup",
    # How to check
    "proof": "How to check this",
    "proof_lead": "This report is one file of a signed export. Unpack the export and run:",
    "key_got": "KEY",
    "proof_key": "KEY is the id of the key, as you got it by another way than this export. Without"
    " the package cryptography, verify.py says that signatures were not checked.",
    "proof_claim": "Signed by this key, as this export claims:",
    "anchored": "Time stamps and other anchors of the ledger",
    "anchor": "Anchor",
    "anchors_none": "NOT MEASURED: the export has no time stamp of the ledger, so the end of the"
    " ledger has only this machine's word.",
    "last_line": "Line",
    "note": "noted here; ask the place itself",
    "footer": "Made by pms-ops from the files of this export. It loads nothing from anywhere.",
    "readme": "Evidence of {system}, {since} to {until}.\n\n"
    "report.html is the report. Check the whole export, offline, with bare Python:\n\n"
    "    python3 -I verify.py --key KEY\n\n"
    "KEY is the id of the signing key, which you have to get by another way than this export.\n"
    "Without --key it ends with status 4: whole in itself, but anybody could have made it.\n"
    "Signatures need the package cryptography; without it it ends with status 3: nothing is\n"
    "authenticated. With -I, Python imports nothing from this folder.\n\n"
    "anchors/NAME/*.tsr are time stamps of an authority (RFC 3161): each says that a line of the\n"
    "ledger was there at a time. The root certificate beside them is this system's word. Get the\n"
    "root from the authority itself, and check the stamps by that:\n\n"
    "    python3 -I verify.py --key KEY --tsa-ca root.pem\n\n"
    "A line of kind approval has what a second person signed before a plan was done. Whose key\n"
    "that is, is this system's word, too. With the ids of the keys, as those persons told you:\n\n"
    "    python3 -I verify.py --key KEY --approver KEY-OF-ANA --approver KEY-OF-BRUNO\n\n"
    "Give the key of each person who may approve: an approval by another key is BROKEN.\n\n"
    "python3 -I verify.py --help names each kind of file and each status.\n\n"
    "The name of a file in checklists is the SHA-256 of the file. checklist_sha256 in it, which\n"
    "records and the ledger name, is the SHA-256 of the checklist's YAML, read and written as\n"
    "JSON with sorted keys; the YAML is not in this export.\n",
}
