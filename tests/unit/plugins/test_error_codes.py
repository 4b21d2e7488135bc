# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import functools
import re

from tests.conftest import PROJECT

CODES = PROJECT / "module_utils" / "pmsops"
# Codes are permanent; these are older than the rule that words are joined by dashes.
WITH_UNDERSCORES = {
    *("api.would_lose", "pipeline.by_hand", "pms.no_operation"),
    *("pms.no_url", "smoke.no_url", "smoke.not_allowed"),
}


@functools.cache
def listed():
    import importlib.util

    path = PROJECT / "plugins" / "filter" / "error_codes.py"
    spec = importlib.util.spec_from_file_location("error_codes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.error_codes(str(CODES))


def test_every_code_in_the_sources_is_listed_with_a_remedy():
    written = {
        code
        for path in CODES.rglob("*.py")
        for code in re.findall(r'code="([a-z]+\.[a-z_-]+)"', path.read_text())
    }
    found = {entry["code"]: entry["cases"] for entry in listed()}
    assert written <= set(found)
    for code, cases in found.items():
        assert re.fullmatch(r"[a-z]+\.[a-z_-]+", code), code
        for case in cases:
            assert len(case["what"]) > 10 and len(case["remedy"]) > 10, code


def test_the_words_of_a_new_code_are_joined_by_dashes():
    assert {entry["code"] for entry in listed() if "_" in entry["code"]} == WITH_UNDERSCORES


def test_values_are_named_and_not_left_as_code():
    for entry in listed():
        for case in entry["cases"]:
            # The argument of an example is JSON, which has braces of its own.
            text = re.sub(r"-e '\{.*?\}'", "", case["what"] + case["remedy"])
            assert "{" not in text, entry["code"]
