# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the facts cover of the system catalogues: each column is compared, or left out by reason.

A test compares this table with the catalogues of the running server, so a column that a new
version of PostgreSQL adds has to be placed here before that version is supported. docs/PROOF.md is
rendered from it. No module imports it.
"""

from __future__ import annotations

# Reasons that several columns have.
REASONS = {
    "number": "an internal number; objects are compared by their names",
    "storage": "physical storage, which a restore makes anew",
    "statistics": "figures of the planner, which come with the set or which ANALYZE gathers anew",
    "cluster": "belongs to the cluster and not to a database; globals.sql has the roles",
    "state": "a state of the running server",
}
# Under the name of a catalogue, "columns: facts;" as kind.attribute; a kind alone is the object and
# its name. "- REASON" is a column left out, "- from X" one that follows from what is compared. The
# columns may be those of several versions; oid is left out everywhere.
_TABLE = """
pg_aggregate
    aggfnoid: aggregates; aggkind: aggregates.kind; aggnumdirectargs: aggregates.direct_arguments;
    aggtransfn: aggregates.step; aggfinalfn: aggregates.final; aggcombinefn: aggregates.combine;
    aggserialfn: aggregates.serialize; aggdeserialfn: aggregates.deserialize;
    aggmtransfn: aggregates.moving_step; aggminvtransfn: aggregates.moving_inverse;
    aggmfinalfn: aggregates.moving_final; aggfinalextra: aggregates.final_extra;
    aggmfinalextra: aggregates.moving_final_extra; aggfinalmodify: aggregates.final_modify;
    aggmfinalmodify: aggregates.moving_final_modify; aggsortop: aggregates.sort_operator;
    aggtranstype: aggregates.state; aggtransspace: aggregates.state_size;
    aggmtranstype: aggregates.moving_state; aggmtransspace: aggregates.moving_state_size;
    agginitval: aggregates.initial; aggminitval: aggregates.moving_initial;
pg_am
    amname: access_methods tables.access_method views.access_method;
    amhandler: access_methods.handler; amtype: access_methods.type;
pg_amop
    amopfamily amoplefttype amoprighttype amopstrategy amoppurpose amopopr amopsortfamily:
      operator_families.operators;
    amopmethod: - from the family;
pg_amproc
    amprocfamily amproclefttype amprocrighttype amprocnum amproc: operator_families.functions;
pg_attrdef
    adrelid adnum: columns; adbin: columns.default;
pg_attribute
    attrelid attname attisdropped: columns; atttypid atttypmod attndims: columns.type;
    attlen attbyval attalign: - from the type; attcacheoff: - storage; attnum: columns.position;
    attstorage: columns.storage; attcompression: columns.compression; attnotnull: columns.not_null;
    atthasdef: columns.default; atthasmissing attmissingval: contents;
    attidentity: columns.identity; attgenerated: columns.generated; attislocal: columns.local;
    attinhcount: columns.inherited; attcollation: columns.collation columns.collation_schema;
    attstattarget: columns.statistics indexes.statistics; attacl: columns.grants system_grants;
    attoptions: columns.options; attfdwoptions: columns.foreign_options;
pg_auth_members
    *: - cluster;
pg_authid
    *: - cluster;
pg_cast
    castsource casttarget: casts; castfunc: casts.function; castcontext: casts.context;
    castmethod: casts.method;
pg_class
    relname relnamespace: tables views indexes sequences; relkind: tables.kind views.kind;
    reltype: - from the table; reloftype: tables.of_type;
    relowner: tables.owner views.owner sequences.owner;
    relam: tables.access_method views.access_method indexes.definition;
    reltablespace: tables.tablespace views.tablespace indexes.tablespace;
    relpersistence: tables.persistence sequences.persistence; relrowsecurity: tables.row_security;
    relforcerowsecurity: tables.row_security_forced; relispopulated: views.populated;
    relreplident: tables.replica_identity; relispartition relpartbound: tables.partition_bound;
    relacl: tables.grants views.grants sequences.grants system_grants;
    reloptions: tables.options tables.toast_options views.options indexes.options;
    relnatts: - from the columns;
    relhasindex relchecks relhasrules relhastriggers relhassubclass: - from the objects of the
      table;
    relisshared: - cluster; relpages reltuples relallvisible relallfrozen: - statistics;
    relfilenode reltoastrelid relrewrite relfrozenxid relminmxid: - storage;
pg_collation
    collname collnamespace: collations; collowner: collations.owner;
    collprovider: collations.provider; collisdeterministic: collations.deterministic;
    collencoding: - a copy of a collation has that of its database, the original any;
    collcollate: collations.collate; collctype: collations.ctype;
    colllocale colliculocale: collations.locale; collicurules: collations.rules;
    collversion: - the version of the server's libraries, and a restore builds indexes anew;
pg_constraint
    conname connamespace conrelid contypid: constraints;
    contype condeferrable condeferred conenforced confrelid confupdtype confdeltype
      confmatchtype connoinherit conperiod conkey confkey confdelsetcols conexclop conbin:
      constraints.definition columns.not_null_constraint;
    convalidated: constraints.validated columns.not_null_constraint;
    conislocal: constraints.local columns.not_null_constraint; coninhcount: constraints.inherited;
    conindid conparentid conpfeqop conppeqop conffeqop: - from the definition;
pg_conversion
    conname connamespace: conversions; conowner: conversions.owner;
    conforencoding: conversions.from; contoencoding: conversions.to; conproc: conversions.function;
    condefault: conversions.default;
pg_database
    datname: - a restore may give another name; datdba: database.owner;
    encoding: database.encoding; datlocprovider: database.provider; datcollate: database.collate;
    datctype: database.ctype; datlocale daticulocale: database.locale;
    daticurules: database.icu_rules; datconnlimit: database.connection_limit;
    datacl: database.grants; datcollversion: - the version of the server's libraries;
    dattablespace: - where a database is kept is a choice of its server;
    datistemplate datallowconn: - a live database takes sessions and is no template;
    dathasloginevt: - from the event triggers; datfrozenxid datminmxid datlastsysoid: - storage;
pg_db_role_setting
    setdatabase setrole setconfig: database.settings;
pg_default_acl
    defaclrole defaclnamespace defaclobjtype: default_grants; defaclacl: default_grants.grants;
pg_depend
    classid objid objsubid deptype: extension_objects extension_dependencies sequences.owned_by;
    refclassid refobjid refobjsubid: extension_objects.extension sequences.owned_by;
pg_description
    objoid classoid objsubid: comments;
    description: comments.text tables.comment subscriptions.comment;
pg_enum
    enumtypid enumsortorder enumlabel: types.labels;
pg_event_trigger
    evtname: event_triggers; evtevent: event_triggers.event; evtowner: event_triggers.owner;
    evtfoid: event_triggers.function; evtenabled: event_triggers.enabled;
    evttags: event_triggers.tags;
pg_extension
    extname: extensions; extowner: extensions.owner; extnamespace: extensions.schema;
    extversion: extensions.version;
    extrelocatable extconfig extcondition: - from the extension's version;
pg_foreign_data_wrapper
    fdwname: foreign_data_wrappers; fdwowner: foreign_data_wrappers.owner;
    fdwhandler: foreign_data_wrappers.handler; fdwvalidator: foreign_data_wrappers.validator;
    fdwconnection: foreign_data_wrappers.connection;
    fdwacl: foreign_data_wrappers.grants system_grants;
    fdwoptions: foreign_data_wrappers.options extension_objects.definition;
pg_foreign_server
    srvname: foreign_servers; srvowner: foreign_servers.owner; srvfdw: foreign_servers.wrapper;
    srvtype: foreign_servers.type; srvversion: foreign_servers.version;
    srvacl: foreign_servers.grants; srvoptions: foreign_servers.options;
pg_foreign_table
    ftrelid: tables; ftserver: tables.foreign_server; ftoptions: tables.foreign_options;
pg_index
    indexrelid indrelid: indexes;
    indisunique indnullsnotdistinct indisprimary indisexclusion indimmediate indnatts
      indnkeyatts indkey indcollation indclass indoption indexprs indpred: indexes.definition
      constraints.definition;
    indisclustered: indexes.clustered; indisvalid indisready: indexes.valid;
    indisreplident: indexes.replica_identity; indcheckxmin indislive: - state;
pg_inherits
    inhrelid inhparent inhseqno: tables.parents indexes.parents;
    inhdetachpending: tables.detaching;
pg_init_privs
    objoid classoid objsubid privtype: system_grants;
    initprivs: system_grants.granted system_grants.revoked;
pg_language
    lanname: languages; lanowner: languages.owner; lanpltrusted: languages.trusted;
    lanispl: - from the definition; lanplcallfoid: languages.handler; laninline: languages.inline;
    lanvalidator: languages.validator; lanacl: languages.grants system_grants;
pg_largeobject
    loid pageno data: large_objects;
pg_largeobject_metadata
    lomowner lomacl: large_objects;
pg_namespace
    nspname: schemas; nspowner: schemas.owner; nspacl: schemas.grants system_grants;
pg_opclass
    opcmethod opcname opcnamespace: operator_classes; opcowner: operator_classes.owner;
    opcfamily: operator_classes.family; opcintype: operator_classes.type;
    opcdefault: operator_classes.default; opckeytype: operator_classes.stored_type;
pg_operator
    oprname oprnamespace oprleft oprright: operators; oprowner: operators.owner;
    oprkind: operators.kind; oprresult: operators.result; oprcode: operators.function;
    oprcom: operators.commutator; oprnegate: operators.negator; oprrest: operators.restrict;
    oprjoin: operators.join; oprcanmerge: operators.merges; oprcanhash: operators.hashes;
pg_opfamily
    opfmethod opfname opfnamespace: operator_families; opfowner: operator_families.owner;
pg_parameter_acl
    *: - cluster;
pg_partitioned_table
    partrelid: tables;
    partstrat partnatts partattrs partclass partcollation partexprs: tables.partition_key;
    partdefid: tables.partition_bound;
pg_policy
    polname polrelid: policies; polcmd: policies.command; polpermissive: policies.permissive;
    polroles: policies.roles; polqual: policies.using; polwithcheck: policies.check;
pg_proc
    proname pronamespace pronargs proargtypes: functions system_objects;
    proowner: functions.owner; prokind: functions.kind; proacl: functions.grants system_grants;
    prolang procost prorows provariadic prosupport prosecdef proleakproof proisstrict proretset
      provolatile proparallel pronargdefaults prorettype proallargtypes proargmodes proargnames
      proargdefaults protrftypes prosrc probin prosqlbody proconfig: functions.definition
      functions.body aggregates.arguments aggregates.parallel aggregates.result
      extension_objects.definition;
pg_publication
    pubname: publications; pubowner: publications.owner; puballtables: publications.all_tables;
    puballsequences: publications.all_sequences; pubinsert: publications.insert;
    pubupdate: publications.update; pubdelete: publications.delete;
    pubtruncate: publications.truncate; pubviaroot: publications.via_root;
    pubgencols: publications.generated_columns;
pg_publication_namespace
    pnpubid pnnspid: publications.schemas;
pg_publication_rel
    prpubid prrelid: publication_tables publications.tables; prqual: publication_tables.filter;
    prattrs: publication_tables.columns; prexcept: publication_tables.except;
pg_range
    rngtypid: types.kind; rngsubtype: types.range_of;
    rngmultitypid rngcollation rngsubopc rngcanonical rngsubdiff: types.range;
    rngconstruct2 rngconstruct3 rngmltconstruct0 rngmltconstruct1 rngmltconstruct2:
      - from the range;
pg_replication_origin
    *: - cluster;
pg_rewrite
    rulename ev_class: rules;
    ev_type is_instead ev_qual ev_action: rules.definition views.definition;
    ev_enabled: rules.enabled;
pg_seclabel
    objoid classoid objsubid provider: security_labels; label: security_labels.label;
pg_sequence
    seqrelid: sequences; seqtypid: sequences.type; seqstart: sequences.start;
    seqincrement: sequences.step; seqmax: sequences.maximum; seqmin: sequences.minimum;
    seqcache: sequences.cache; seqcycle: sequences.cycle;
pg_shdepend
    *: - from owners and grants;
pg_shdescription
    *: - the comment of a database holds a mark of this toolkit during a restore, and the others
      belong to the cluster;
pg_shseclabel
    *: - cluster;
pg_statistic
    *: - statistics;
pg_statistic_ext
    stxname stxnamespace: statistics_objects; stxowner: statistics_objects.owner;
    stxrelid stxkeys stxkind stxexprs: statistics_objects.definition;
    stxstattarget: statistics_objects.target;
pg_statistic_ext_data
    *: - statistics;
pg_subscription
    subdbid subname: subscriptions; subowner: subscriptions.owner;
    subenabled: subscriptions.enabled; subbinary: subscriptions.binary;
    substream: subscriptions.streaming; subtwophasestate: subscriptions.twophasestate;
    subdisableonerr: subscriptions.disableonerr;
    subpasswordrequired: subscriptions.passwordrequired; subrunasowner: subscriptions.runasowner;
    subfailover: subscriptions.failover; suborigin: subscriptions.origin;
    subretaindeadtuples: subscriptions.retaindeadtuples;
    submaxretention: subscriptions.maxretention; subwalrcvtimeout: subscriptions.walrcvtimeout;
    subslotname: subscriptions.slot; subsynccommit: subscriptions.synchronous_commit;
    subpublications: subscriptions.publications;
    subserver: subscriptions.server;
    subconninfo: - may hold a password, and only a superuser may read it;
    subskiplsn subretentionactive: - state;
pg_subscription_rel
    srsubid srrelid: subscriptions.tables; srsubstate srsublsn: - state;
pg_tablespace
    *: - belongs to the cluster, and which one holds an object is a fact of the object;
pg_transform
    trftype trflang: transforms; trffromsql: transforms.from_sql; trftosql: transforms.to_sql;
pg_trigger
    tgrelid tgname: triggers;
    tgfoid tgtype tgconstrrelid tgdeferrable tginitdeferred tgnargs tgattr tgargs tgqual
      tgoldtable tgnewtable: triggers.definition;
    tgenabled: triggers.enabled constraints.not_enforced_by;
    tgisinternal tgconstrindid: - from the constraint; tgconstraint: constraints.not_enforced_by;
    tgparentid: - from the partition;
pg_ts_config
    cfgname cfgnamespace: text_search_configurations; cfgowner: text_search_configurations.owner;
    cfgparser: text_search_configurations.parser;
pg_ts_config_map
    mapcfg maptokentype mapseqno mapdict: text_search_configurations.dictionaries;
pg_ts_dict
    dictname dictnamespace: text_search_dictionaries; dictowner: text_search_dictionaries.owner;
    dicttemplate: text_search_dictionaries.template;
    dictinitoption: text_search_dictionaries.options;
pg_ts_parser
    prsname prsnamespace: text_search_parsers; prsstart: text_search_parsers.start;
    prstoken: text_search_parsers.token; prsend: text_search_parsers.end;
    prsheadline: text_search_parsers.headline; prslextype: text_search_parsers.types;
pg_ts_template
    tmplname tmplnamespace: text_search_templates; tmplinit: text_search_templates.init;
    tmpllexize: text_search_templates.lexize;
pg_type
    typname typnamespace typisdefined: types; typowner: types.owner; typtype: types.kind;
    typacl: types.grants system_grants; typrelid: types.row_type columns;
    typnotnull: types.not_null; typbasetype typtypmod typndims: types.base;
    typcollation: types.collation types.base_type; typdefault typdefaultbin: types.default;
    typlen typbyval typcategory typispreferred typdelim typsubscript typinput typoutput
      typreceive typsend typmodin typmodout typanalyze typalign typstorage: types.base_type;
    typelem typarray: - from the type;
pg_user_mapping
    umuser umserver: user_mappings; umoptions: user_mappings.options;
"""

# What each kind is. TimescaleDB's kinds and contents are read from its own catalogue and views.
KINDS = {
    "database": "the database itself: owner, locale, settings, also those of single roles",
    "contents": "rows and fingerprint of each table, partition, and chunk by its range",
    "extensions": "extensions and their versions",
    "extension_objects": "members of extensions, and a hash of their definitions",
    "extension_dependencies": "objects that were made to depend on an extension",
    "schemas": "schemas",
    "tables": "tables, partitions and foreign tables",
    "columns": "columns of tables, views and composite types",
    "constraints": "constraints of tables and domains",
    "indexes": "indexes",
    "statistics_objects": "extended statistics",
    "sequences": "sequences with their values",
    "views": "views and materialized views",
    "materialized_views": "rows of materialized views, or of their queries where those are stale",
    "large_objects": "large objects: contents, owners, grants",
    "triggers": "triggers",
    "event_triggers": "event triggers",
    "rules": "rules",
    "policies": "policies of row security",
    "functions": "functions and procedures",
    "aggregates": "parts of aggregates",
    "operators": "operators",
    "operator_families": "operator families",
    "operator_classes": "operator classes",
    "casts": "casts",
    "conversions": "conversions of encodings",
    "languages": "procedural languages",
    "access_methods": "access methods",
    "transforms": "transforms",
    "types": "types: composite, domain, enum, range, base",
    "collations": "collations",
    "text_search_parsers": "parsers of text search",
    "text_search_templates": "templates of text search",
    "text_search_dictionaries": "dictionaries of text search",
    "text_search_configurations": "configurations of text search",
    "foreign_data_wrappers": "foreign data wrappers",
    "foreign_servers": "foreign servers",
    "user_mappings": "user mappings; of a password only that there is one",
    "publications": "publications",
    "publication_tables": "tables of publications with filter and columns",
    "subscriptions": "subscriptions, without the connection string",
    "default_grants": "default privileges",
    "system_grants": "changed grants on objects of the server and of extensions",
    "system_objects": "objects that somebody made in a schema of the server",
    "comments": "comments on objects of all kinds",
    "security_labels": "security labels",
    "hypertables": "hypertables with dimensions, compression, tablespaces",
    "continuous_aggregates": "continuous aggregates with watermark and invalidations",
    "chunks": "chunks by hypertable and range",
    "jobs": "background jobs of TimescaleDB",
    "extension_jobs": "TimescaleDB's own jobs",
}


def columns() -> dict[str, dict[str, str]]:
    """Return the facts of each column by catalogue; a reason begins with a dash, ``*`` is all."""
    found: dict[str, dict[str, str]] = {}
    for catalogue, text in _entries():
        found[catalogue] = {"oid": f"- {REASONS['number']}"}
        for pair in filter(None, (each.strip() for each in text.split(";"))):
            names, _, facts = pair.partition(": ")
            found[catalogue] |= dict.fromkeys(names.split(), _target(facts.strip()))
    return found


def attributes() -> dict[str, list[str]]:
    """Return the attributes by which each kind is compared, as far as catalogues hold them."""
    found: dict[str, list[str]] = {}
    for facts in (each for of in columns().values() for each in of.values()):
        for fact in facts.split() if not facts.startswith("-") else ():
            kind, _, attribute = fact.partition(".")
            known = found.setdefault(kind, [])
            if attribute and attribute not in known:
                known.append(attribute)
    return {kind: sorted(known) for kind, known in sorted(found.items())}


def left_out() -> dict[str, list[str]]:
    """Return the columns that are not compared, by the reason."""
    found: dict[str, list[str]] = {}
    for catalogue, of in columns().items():
        for column, facts in of.items():
            if facts.startswith("- "):
                found.setdefault(facts.removeprefix("- "), []).append(f"{catalogue}.{column}")
    return {reason: sorted(names) for reason, names in found.items()}


def _entries() -> list[tuple[str, str]]:
    """Return the name of each catalogue with its text, joined to one line."""
    found: list[tuple[str, str]] = []
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            name, text = found[-1]
            found[-1] = (name, f"{text} {line.strip()}")
        else:
            found.append((line, ""))
    return found


def _target(facts: str) -> str:
    """Return the facts of a column as written, or its reason in full."""
    if not facts.startswith("- "):
        return facts
    reason = facts.removeprefix("- ")
    if reason.startswith("from "):
        return f"- follows {reason}"
    return f"- {REASONS.get(reason, reason)}"
