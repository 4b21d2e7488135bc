# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The facts of functions, aggregates, operators, casts, languages and access methods."""

from __future__ import annotations

from ansible.module_utils.pmsops.postgresql.facts_sql import (
    FIRST_USER_OID,
    USER_SCHEMA,
    acl,
    function,
    own,
)

# A function that holds expressions as trees is compared by its "body", the others by their text.
# Sets of schema 1 and 2 have the text's hash for all, but for window functions.
_AS_TREE = "(p.prosqlbody IS NOT NULL OR p.proargdefaults IS NOT NULL)"
FUNCTIONS = f"""
    SELECT p.oid::regprocedure::text, jsonb_build_object(
               'definition', CASE WHEN p.prokind IN ('f', 'p')
                                         AND (%(schema)s < 3 OR NOT {_AS_TREE})
                                    OR p.prokind = 'w' AND %(schema)s >= 3
                                  THEN md5(pg_get_functiondef(p.oid)) END,
               'body', CASE WHEN p.prokind IN ('f', 'p') AND {_AS_TREE}
                            THEN pg_get_functiondef(p.oid) END,
               'kind', p.prokind, 'owner', p.proowner::regrole::text,
               'grants', {acl("p.proacl", "f", "p.proowner")})
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE {USER_SCHEMA} AND {own("pg_proc", "p.oid")}"""

AGGREGATES = f"""
    SELECT p.oid::regprocedure::text, jsonb_build_object(
               'arguments', pg_get_function_arguments(p.oid), 'parallel', p.proparallel,
               'result', format_type(p.prorettype, NULL),
               'kind', a.aggkind, 'direct_arguments', a.aggnumdirectargs,
               'step', {function("a.aggtransfn")}, 'final', {function("a.aggfinalfn")},
               'combine', {function("a.aggcombinefn")},
               'serialize', {function("a.aggserialfn")},
               'deserialize', {function("a.aggdeserialfn")},
               'moving_step', {function("a.aggmtransfn")},
               'moving_inverse', {function("a.aggminvtransfn")},
               'moving_final', {function("a.aggmfinalfn")},
               'final_extra', a.aggfinalextra, 'moving_final_extra', a.aggmfinalextra,
               'final_modify', a.aggfinalmodify, 'moving_final_modify', a.aggmfinalmodify,
               'sort_operator', CASE WHEN a.aggsortop <> 0
                                     THEN a.aggsortop::regoperator::text END,
               'state', format_type(a.aggtranstype, NULL), 'state_size', a.aggtransspace,
               'moving_state', format_type(nullif(a.aggmtranstype, 0), NULL),
               'moving_state_size', a.aggmtransspace,
               'initial', a.agginitval, 'moving_initial', a.aggminitval)
      FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
      JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE {USER_SCHEMA} AND {own("pg_proc", "p.oid")}"""

OPERATORS = f"""
    SELECT o.oid::regoperator::text, jsonb_build_object(
               'owner', o.oprowner::regrole::text, 'kind', o.oprkind,
               'result', format_type(o.oprresult, NULL),
               'function', {function("o.oprcode")},
               'commutator', CASE WHEN o.oprcom <> 0 THEN o.oprcom::regoperator::text END,
               'negator', CASE WHEN o.oprnegate <> 0 THEN o.oprnegate::regoperator::text END,
               'restrict', {function("o.oprrest")}, 'join', {function("o.oprjoin")},
               'hashes', o.oprcanhash, 'merges', o.oprcanmerge)
      FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
     WHERE {USER_SCHEMA} AND {own("pg_operator", "o.oid")}"""

_FAMILY = "SELECT f.opfname FROM pg_opfamily f WHERE f.oid ="
OPERATOR_FAMILIES = f"""
    SELECT n.nspname || '.' || f.opfname || ' using ' || m.amname, jsonb_build_object(
               'owner', f.opfowner::regrole::text,
               'operators',
               (SELECT array_agg(e ORDER BY e COLLATE "C") FROM (
                    SELECT concat_ws(' ', o.amopstrategy, o.amopopr::regoperator,
                                     o.amoplefttype::regtype, o.amoprighttype::regtype,
                                     o.amoppurpose, ({_FAMILY} o.amopsortfamily)) AS e
                      FROM pg_amop o WHERE o.amopfamily = f.oid) entries),
               'functions',
               (SELECT array_agg(e ORDER BY e COLLATE "C") FROM (
                    SELECT concat_ws(' ', o.amprocnum, o.amproc::oid::regprocedure,
                                     o.amproclefttype::regtype, o.amprocrighttype::regtype) AS e
                      FROM pg_amproc o WHERE o.amprocfamily = f.oid) entries))
      FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace
      JOIN pg_am m ON m.oid = f.opfmethod
     WHERE {USER_SCHEMA} AND {own("pg_opfamily", "f.oid")}"""

OPERATOR_CLASSES = f"""
    SELECT n.nspname || '.' || o.opcname || ' using ' || m.amname, jsonb_build_object(
               'owner', o.opcowner::regrole::text, 'default', o.opcdefault,
               'type', format_type(o.opcintype, NULL),
               'stored_type', format_type(nullif(o.opckeytype, 0), NULL),
               'family', (SELECT s.nspname || '.' || f.opfname FROM pg_opfamily f
                            JOIN pg_namespace s ON s.oid = f.opfnamespace
                           WHERE f.oid = o.opcfamily))
      FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
      JOIN pg_am m ON m.oid = o.opcmethod
     WHERE {USER_SCHEMA} AND {own("pg_opclass", "o.oid")}"""

CASTS = f"""
    SELECT format_type(k.castsource, NULL) || ' as ' || format_type(k.casttarget, NULL),
           jsonb_build_object('function', {function("k.castfunc")},
                              'context', k.castcontext, 'method', k.castmethod)
      FROM pg_cast k WHERE k.oid >= {FIRST_USER_OID} AND {own("pg_cast", "k.oid")}"""

CONVERSIONS = f"""
    SELECT n.nspname || '.' || k.conname, jsonb_build_object(
               'owner', k.conowner::regrole::text, 'default', k.condefault,
               'from', pg_encoding_to_char(k.conforencoding),
               'to', pg_encoding_to_char(k.contoencoding), 'function', {function("k.conproc")})
      FROM pg_conversion k JOIN pg_namespace n ON n.oid = k.connamespace
     WHERE {USER_SCHEMA} AND {own("pg_conversion", "k.oid")}"""

LANGUAGES = f"""
    SELECT l.lanname, jsonb_build_object(
               'owner', l.lanowner::regrole::text, 'trusted', l.lanpltrusted,
               'handler', {function("l.lanplcallfoid")}, 'inline', {function("l.laninline")},
               'validator', {function("l.lanvalidator")},
               'grants', {acl("l.lanacl", "l", "l.lanowner")})
      FROM pg_language l
     WHERE l.oid >= {FIRST_USER_OID} AND {own("pg_language", "l.oid")}"""

ACCESS_METHODS = f"""
    SELECT m.amname, jsonb_build_object('type', m.amtype, 'handler', {function("m.amhandler")})
      FROM pg_am m WHERE m.oid >= {FIRST_USER_OID} AND {own("pg_am", "m.oid")}"""

TRANSFORMS = f"""
    SELECT format_type(t.trftype, NULL) || ' language ' || l.lanname, jsonb_build_object(
               'from_sql', {function("t.trffromsql")}, 'to_sql', {function("t.trftosql")})
      FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
     WHERE {own("pg_transform", "t.oid")}"""

STATEMENTS = {
    "functions": FUNCTIONS,
    "aggregates": AGGREGATES,
    "operators": OPERATORS,
    "operator_families": OPERATOR_FAMILIES,
    "operator_classes": OPERATOR_CLASSES,
    "casts": CASTS,
    "conversions": CONVERSIONS,
    "languages": LANGUAGES,
    "access_methods": ACCESS_METHODS,
    "transforms": TRANSFORMS,
}
