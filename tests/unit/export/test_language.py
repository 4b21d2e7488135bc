# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a language of the report writes numbers, and what it says of an approval."""

from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.export.language import CATALOGUES, Language


@pytest.mark.parametrize(
    ("count", "english", "portuguese"),
    [
        (3_020_000, "3.02 MB", "3,02 MB"),
        (1_600_000_000, "1.6 GB", "1,6 GB"),
        (1_450, "1,450 B", "1.450 B"),
        (None, "NOT MEASURED", "NÃO MEDIDO"),
    ],
)
def test_a_size_is_decimal_as_its_unit_says(count, english, portuguese):
    """2.88 MB stood for 3.02: an auditor took the sizes of the sets for wrong."""
    assert [Language(name).size(count) for name in ("en", "pt")] == [english, portuguese]


@pytest.mark.parametrize(
    ("name", "whose", "older"),
    [
        ("en", "has a key is this system's word", "the signature is not in this export"),
        ("pt", "cada chave é a palavra deste sistema", "assinatura não está nesta exportação"),
    ],
)
def test_the_report_claims_of_an_approval_only_what_its_reader_can_check(name, whose, older):
    said = CATALOGUES[name]["approvals_lead"]
    assert "verify.py" in said and whose in said and older in " ".join(said.split())
