# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible.module_utils.pmsops.verify import printed_sql
from hypothesis import given
from hypothesis import strategies as st

IN = "((a)::text = ANY (ARRAY[('x)'::character varying)::text]))"


def apart(kind, text):
    made = printed_sql.apart(kind, text)
    assert filled(made) == text
    return made.text.replace(printed_sql.HOLE, "_"), made.expressions


def filled(made):
    parts = made.text.split(printed_sql.HOLE)
    assert len(parts) == len(made.expressions) + 1
    return "".join(part + each for part, each in zip(parts, [*made.expressions, ""], strict=True))


@pytest.mark.parametrize(
    ("kind", "text", "around", "expressions"),
    [
        ("constraints", f"CHECK ({IN}) NOT VALID", "CHECK _ NOT VALID", [f"({IN})"]),
        ("constraints", "CHECK ((a > 0)) NO INHERIT", "CHECK _ NO INHERIT", ["((a > 0))"]),
        ("constraints", "NOT NULL a", "NOT NULL a", []),
        ("constraints", "FOREIGN KEY (a) REFERENCES b(c)", "FOREIGN KEY (a) REFERENCES b(c)", []),
        ("constraints", "PRIMARY KEY (a, b)", "PRIMARY KEY (a, b)", []),
        (
            "constraints",
            f"EXCLUDE USING gist (room WITH =, lower(x) WITH &&) WHERE ({IN}) DEFERRABLE",
            "EXCLUDE USING gist (room WITH =, _ WITH &&) WHERE _ DEFERRABLE",
            ["lower(x)", f"({IN})"],
        ),
        (
            "indexes",
            'CREATE UNIQUE INDEX i ON ONLY a.t USING btree (x COLLATE "C" DESC, (x + 1),'
            f" m.f(x, 'a, (b') text_ops (siglen='9')) INCLUDE (y) WITH (fillfactor='9') WHERE {IN}",
            'CREATE UNIQUE INDEX i ON ONLY a.t USING btree (x COLLATE "C" DESC, _,'
            " _ text_ops (siglen='9')) INCLUDE (y) WITH (fillfactor='9') WHERE _",
            ["(x + 1)", "m.f(x, 'a, (b')", IN],
        ),
        (
            "indexes",
            'CREATE INDEX " USING btree (" ON a." WHERE " USING btree ("x, (" DESC)',
            'CREATE INDEX " USING btree (" ON a." WHERE " USING btree ("x, (" DESC)',
            [],
        ),
        (
            "triggers",
            f"CREATE TRIGGER t BEFORE UPDATE ON a.t FOR EACH ROW WHEN ({IN}) EXECUTE FUNCTION"
            " a.f('x WHEN (y)')",
            "CREATE TRIGGER t BEFORE UPDATE ON a.t FOR EACH ROW WHEN _ EXECUTE FUNCTION"
            " a.f('x WHEN (y)')",
            [f"({IN})"],
        ),
        (
            "triggers",
            "CREATE TRIGGER t AFTER INSERT ON a.t FOR EACH ROW EXECUTE FUNCTION a.f('WHEN (y)')",
            "CREATE TRIGGER t AFTER INSERT ON a.t FOR EACH ROW EXECUTE FUNCTION a.f('WHEN (y)')",
            [],
        ),
        ("tables", "RANGE (a, ((b + 1)), lower(c))", "RANGE (a, _, _)", ["((b + 1))", "lower(c)"]),
        ("tables", "FOR VALUES IN ('a', 'b')", "FOR VALUES IN ('a', 'b')", []),
        ("tables", "DEFAULT", "DEFAULT", []),
        (
            "statistics_objects",
            "CREATE STATISTICS a.s (ndistinct, mcv) ON x, (y + 1), lower(z) FROM a.t",
            "CREATE STATISTICS a.s (ndistinct, mcv) ON x, _, _ FROM a.t",
            ["(y + 1)", "lower(z)"],
        ),
        ("views", " SELECT 1;", "_", [" SELECT 1;"]),
        ("policies", IN, "_", [IN]),
    ],
)
def test_a_definition_is_taken_apart(kind, text, around, expressions):
    assert apart(kind, text) == (around, expressions)


@given(
    st.sampled_from(["constraints", "indexes", "triggers", "tables", "statistics_objects"]),
    st.text("CHEKUSINGbtre ONWHR(),'\"x"),
)
def test_no_text_is_too_odd_to_be_taken_apart(kind, text):
    for before in ("", "CHECK (", "CREATE INDEX i ON t USING btree (", "RANGE (", "x ON "):
        assert filled(printed_sql.apart(kind, before + text)) == before + text


@pytest.mark.parametrize(
    "text", ["a = 'x;'", '(f("a(") > 0)', " SELECT 1;", "DO ( DELETE FROM a; DELETE FROM b);", IN]
)
def test_one_expression_or_statement_is_one(text):
    assert printed_sql.is_one(text)


@pytest.mark.parametrize(
    "text",
    [
        "a); DROP TABLE b; SELECT (1",
        "1; COMMIT",
        "(a",
        "a)(",
        "a -- b",
        "a /* b",
        "'a",
        'a "b',
        ")(",
    ],
)
def test_what_hides_another_statement_is_none(text):
    assert not printed_sql.is_one(text)


@pytest.mark.parametrize(
    ("text", "before", "moved"),
    [
        (
            'CREATE OR REPLACE FUNCTION a."f(x"(b a.c)',
            "^CREATE OR REPLACE FUNCTION ",
            'CREATE OR REPLACE FUNCTION s."f(x"(b a.c)',
        ),
        (
            'CREATE RULE " TO x.y" AS\n    ON UPDATE TO a."t.u"\n DO INSTEAD NOTHING;',
            r"\sTO ",
            'CREATE RULE " TO x.y" AS\n    ON UPDATE TO s."t.u"\n DO INSTEAD NOTHING;',
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO NOTHING",
            r"\sTO ",
            "CREATE RULE r AS ON INSERT TO s.t",
        ),
        ("SELECT 1", r"\sTO ", "SELECT 1"),
    ],
)
def test_a_name_moves_to_another_schema(text, before, moved):
    assert printed_sql.moved(text, before, "s").startswith(moved)


def test_the_print_before_a_restore_is_guessed_for_texts_in_a_list():
    found = "ANY (ARRAY[('x'::character varying)::text, ('y'''::character varying(3))::text])"
    made = "ANY ((ARRAY['x'::character varying, 'y'''::character varying(3)])::text[])"
    assert printed_sql.before_a_restore(found) == made
    assert printed_sql.before_a_restore("ARRAY[1, 2]") == "ARRAY[1, 2]"
