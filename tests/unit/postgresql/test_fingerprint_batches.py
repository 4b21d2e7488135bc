# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many statements read many tables, and which of them are read by themselves."""

from __future__ import annotations

from types import SimpleNamespace

from ansible.module_utils.pmsops.postgresql import fingerprint, fingerprint_batches
from hypothesis import given
from hypothesis import strategies as st


def table(size=100, **facts):
    default = {"size_bytes": size, "condition": "", "generated": (), "chunk": None}
    return SimpleNamespace(**(default | facts))


def sizes(batches):
    return [[each.size_bytes for each in batch] for batch in batches]


def test_many_small_tables_take_few_statements():
    batches = fingerprint_batches.of([table() for _ in range(20_000)], 2)
    assert len(batches) == 313  # of 20,000
    assert max(map(len, batches)) == fingerprint_batches.MOST


def test_few_tables_are_spread_over_the_readers():
    batches = fingerprint_batches.of([table() for _ in range(320)], 2)
    assert [len(batch) for batch in batches] == [20] * 16
    assert len(fingerprint_batches.of([table() for _ in range(5)], 2)) == 5
    assert fingerprint_batches.of([], 2) == []


def test_large_tables_are_read_by_themselves_and_first():
    most = fingerprint_batches.MOST_BYTES
    tables = [table(each) for each in (9 * most, most, most // 2, most // 2, 10, 10, *[1] * 100)]
    assert sizes(fingerprint_batches.of(tables, 1))[:4] == [
        [9 * most], [most], [most // 2, most // 2], [10, 10, *[1] * 11]
    ]  # fmt: skip


def test_what_needs_a_statement_of_its_own_gets_it():
    chunk = object()
    odd = [table(condition="WHERE a"), table(generated=("g",)), table(0, chunk=chunk)]
    tables = [*[table() for _ in range(40)], *odd, *[table(9, chunk=chunk) for _ in range(40)]]
    batches = fingerprint_batches.of(tables, 1)
    assert [batch for batch in batches if any(each in odd for each in batch)] == [
        [each] for each in odd
    ]


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(1, 4))
def test_each_table_is_in_one_batch_and_their_order_stays(numbers, readers):
    tables = [table(size) for size in numbers]
    batches = fingerprint_batches.of(tables, readers)
    assert [each for batch in batches for each in batch] == tables
    for batch in batches:
        assert len(batch) == 1 or sum(t.size_bytes for t in batch) <= fingerprint_batches.MOST_BYTES


class Cursor:
    """Answers each branch with a number of its own, in another order than asked."""

    def __init__(self):
        self.statements = []

    def execute(self, sql):
        self.statements.append(sql)

    def fetchall(self):
        count = self.statements[-1].count(" UNION ALL ") + 1
        return [(number, number * 10, number + 1) for number in reversed(range(count))]

    def fetchone(self):
        return (7, 9, 8)


def relation(name, **facts):
    return fingerprint.Relation("public", name, None, "", 1, ("id",), ("integer",), **facts)


def test_each_relation_of_a_batch_gets_its_own_numbers():
    cursor = Cursor()
    found = fingerprint.of_batch(cursor, [relation("a"), relation("b"), relation("c")])
    assert [each["rows"] for each in found] == [0, 10, 20]
    assert [each["fingerprint"][-1] for each in found] == ["1", "2", "3"]
    assert len(cursor.statements) == 1
    assert 'FROM ONLY "public"."b"' in cursor.statements[0].split(" UNION ALL ")[1]
    alone = fingerprint.of_batch(cursor, [relation("g", generated=("id",))])
    assert alone == [
        {"rows": 7, "fingerprint": f"{9:016x}", "others": f"{8:016x}", "generated": ["id"]}
    ]
