-- The tables of the PMS's database: 23, of them 11 hypertables, and alembic_version.
--
-- Runs as the role that owns the database, no superuser, after a superuser ran
-- CREATE EXTENSION timescaledb. Works on both editions: the nine compression policies are made
-- where the licence has compression, and left out under Apache's.

CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('j0k1l2m3n4o5');

-- ------------------------------------------------------------------------------ reference data

CREATE TABLE data_sources (
    id serial PRIMARY KEY,
    name varchar(100) NOT NULL UNIQUE,
    base_url varchar(500) NOT NULL,
    auth_type varchar(50) NOT NULL,
    rate_limit_per_minute int,
    default_locale varchar(10) NOT NULL DEFAULT 'en-US',
    notes text,
    is_active bool NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE instruments (
    id serial PRIMARY KEY,
    ticker varchar(50) NOT NULL UNIQUE,
    name varchar(200) NOT NULL,
    asset_class varchar(50) NOT NULL,
    instrument_type varchar(20),
    country varchar(10) NOT NULL,
    currency varchar(10) NOT NULL,
    exchange varchar(50),
    maturity_date date,
    contract_specs jsonb,
    is_active bool NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE series_metadata (
    id serial PRIMARY KEY,
    source_id int NOT NULL REFERENCES data_sources (id),
    series_code varchar(100) NOT NULL,
    name varchar(300) NOT NULL,
    description text,
    frequency varchar(20) NOT NULL,
    country varchar(10) NOT NULL,
    unit varchar(50) NOT NULL,
    decimal_separator varchar(5) NOT NULL DEFAULT '.',
    date_format varchar(20) NOT NULL DEFAULT 'YYYY-MM-DD',
    is_revisable bool NOT NULL DEFAULT false,
    release_lag_days int,
    release_timezone varchar(50) NOT NULL DEFAULT 'UTC',
    is_active bool NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_series_metadata_source_series UNIQUE (source_id, series_code)
);

-- ---------------------------------------------------------------------------- data over time
-- Hypertables, so the time is part of each key.

CREATE TABLE market_data (
    id bigserial,
    instrument_id int NOT NULL REFERENCES instruments (id),
    "timestamp" timestamptz NOT NULL,
    frequency varchar(20) NOT NULL DEFAULT 'daily',
    open float8,
    high float8,
    low float8,
    close float8,
    volume float8,
    adjusted_close float8,
    source varchar(50),
    PRIMARY KEY (id, "timestamp"),
    CONSTRAINT uq_market_data_natural_key UNIQUE (instrument_id, "timestamp", frequency)
);
CREATE INDEX ix_market_data_instrument_id ON market_data (instrument_id);

CREATE TABLE macro_series (
    id bigserial,
    series_id int NOT NULL REFERENCES series_metadata (id),
    observation_date date NOT NULL,
    value float8 NOT NULL,
    release_time timestamptz NOT NULL,
    revision_number smallint NOT NULL DEFAULT 0,
    source varchar(50),
    PRIMARY KEY (id, observation_date),
    CONSTRAINT uq_macro_series_natural_key UNIQUE (series_id, observation_date, revision_number)
);
CREATE INDEX ix_macro_series_series_id ON macro_series (series_id);

CREATE TABLE curves (
    id bigserial,
    curve_id varchar(50) NOT NULL,
    curve_date date NOT NULL,
    tenor_days int NOT NULL,
    tenor_label varchar(20) NOT NULL,
    rate float8 NOT NULL,
    curve_type varchar(20) NOT NULL,
    source varchar(50),
    PRIMARY KEY (id, curve_date),
    CONSTRAINT uq_curves_natural_key UNIQUE (curve_id, curve_date, tenor_days)
);
CREATE INDEX ix_curves_curve_id ON curves (curve_id);

CREATE TABLE flow_data (
    id bigserial,
    series_id int NOT NULL REFERENCES series_metadata (id),
    observation_date date NOT NULL,
    value float8 NOT NULL,
    flow_type varchar(50) NOT NULL,
    unit varchar(20) NOT NULL DEFAULT 'USD_MM',
    release_time timestamptz,
    PRIMARY KEY (id, observation_date),
    CONSTRAINT uq_flow_data_natural_key UNIQUE (series_id, observation_date, flow_type)
);
CREATE INDEX ix_flow_data_series_id ON flow_data (series_id);

CREATE TABLE fiscal_data (
    id bigserial,
    series_id int NOT NULL REFERENCES series_metadata (id),
    observation_date date NOT NULL,
    value float8 NOT NULL,
    fiscal_metric varchar(50) NOT NULL,
    unit varchar(20) NOT NULL DEFAULT 'BRL_MM',
    release_time timestamptz,
    PRIMARY KEY (id, observation_date),
    CONSTRAINT uq_fiscal_data_natural_key UNIQUE (series_id, observation_date, fiscal_metric)
);
CREATE INDEX ix_fiscal_data_series_id ON fiscal_data (series_id);

CREATE TABLE vol_surfaces (
    id bigserial,
    instrument_id int NOT NULL REFERENCES instruments (id),
    surface_date date NOT NULL,
    delta float8 NOT NULL,
    tenor_days int NOT NULL,
    implied_vol float8 NOT NULL,
    call_put varchar(4),
    source varchar(50),
    PRIMARY KEY (id, surface_date),
    CONSTRAINT uq_vol_surfaces_natural_key UNIQUE (instrument_id, surface_date, delta, tenor_days)
);
CREATE INDEX ix_vol_surfaces_instrument_id ON vol_surfaces (instrument_id);

CREATE TABLE signals (
    id bigserial,
    signal_type varchar(50) NOT NULL,
    signal_date date NOT NULL,
    instrument_id int REFERENCES instruments (id),
    series_id int REFERENCES series_metadata (id),
    value float8 NOT NULL,
    confidence float8,
    metadata_json text,
    PRIMARY KEY (id, signal_date),
    CONSTRAINT uq_signals_natural_key UNIQUE (signal_type, signal_date, instrument_id)
);
CREATE INDEX ix_signals_signal_type ON signals (signal_type);

CREATE TABLE strategy_signals (
    id bigserial,
    strategy_id varchar(50) NOT NULL,
    signal_date date NOT NULL,
    ticker varchar(50) NOT NULL,
    weight float8 NOT NULL,
    confidence float8,
    metadata_json text,
    PRIMARY KEY (id, signal_date)
);
CREATE INDEX ix_strategy_signals_strategy_date ON strategy_signals (strategy_id, signal_date);

CREATE TABLE portfolio_state (
    id serial,
    "timestamp" timestamptz NOT NULL,
    instrument varchar(50) NOT NULL,
    direction varchar(10) NOT NULL,
    notional float8 NOT NULL,
    weight float8 NOT NULL,
    entry_price float8,
    unrealized_pnl float8,
    strategy_attribution jsonb,
    PRIMARY KEY (id, "timestamp"),
    CONSTRAINT uq_portfolio_state_natural_key UNIQUE ("timestamp", instrument)
);

-- No foreign key to the position, on purpose: the history outlives it.
CREATE TABLE position_pnl_history (
    id bigserial,
    snapshot_date date NOT NULL,
    position_id bigint NOT NULL,
    instrument varchar(50) NOT NULL,
    mark_price float8 NOT NULL,
    unrealized_pnl_brl float8 NOT NULL,
    unrealized_pnl_usd float8,
    daily_pnl_brl float8,
    daily_pnl_usd float8,
    cumulative_pnl_brl float8,
    dv01 float8,
    delta float8,
    var_contribution float8,
    fx_rate float8,
    is_manual_override bool NOT NULL,
    metadata_json jsonb,
    PRIMARY KEY (id, snapshot_date),
    CONSTRAINT uq_position_pnl_history_natural_key UNIQUE (snapshot_date, position_id)
);

CREATE TABLE portfolio_returns (
    return_date date PRIMARY KEY,
    daily_return float8 NOT NULL,
    cumulative_return float8,
    portfolio_nav float8,
    n_instruments int,
    weighting_method varchar(50),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- ------------------------------------------------------------------- runs, reports, documents

CREATE TABLE agent_reports (
    id serial PRIMARY KEY,
    agent_id varchar(50) NOT NULL,
    as_of_date date NOT NULL,
    signals_count int NOT NULL,
    narrative text,
    model_diagnostics jsonb,
    data_quality_flags jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_agent_reports_agent_date ON agent_reports (agent_id, as_of_date);

CREATE TABLE pipeline_runs (
    id varchar(36) PRIMARY KEY,
    run_date date NOT NULL,
    status varchar(20) NOT NULL,
    duration_seconds float8,
    step_timings jsonb,
    signal_count int,
    position_count int,
    regime varchar(50),
    summary text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_pipeline_runs_run_date ON pipeline_runs (run_date);

CREATE TABLE strategy_state (
    id serial PRIMARY KEY,
    strategy_id varchar(50) NOT NULL,
    "timestamp" timestamptz NOT NULL,
    direction varchar(10) NOT NULL,
    strength varchar(10) NOT NULL,
    confidence float8 NOT NULL,
    z_score float8,
    raw_value float8,
    suggested_size float8,
    instruments jsonb,
    entry_level float8,
    stop_loss float8,
    take_profit float8,
    holding_period_days int,
    metadata_json jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_strategy_state_strat_ts ON strategy_state (strategy_id, "timestamp" DESC);

CREATE TABLE backtest_results (
    id serial PRIMARY KEY,
    strategy_id varchar(50) NOT NULL,
    start_date date NOT NULL,
    end_date date NOT NULL,
    initial_capital float8 NOT NULL,
    final_equity float8,
    total_return float8,
    annualized_return float8,
    annualized_volatility float8,
    sharpe_ratio float8,
    sortino_ratio float8,
    calmar_ratio float8,
    max_drawdown float8,
    win_rate float8,
    profit_factor float8,
    total_trades int,
    equity_curve jsonb,
    monthly_returns jsonb,
    config_json jsonb,
    run_timestamp timestamptz,
    params_json jsonb,
    daily_returns_json jsonb,
    avg_holding_days float8,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_backtest_results_strategy_id ON backtest_results (strategy_id);

CREATE TABLE nlp_documents (
    id serial PRIMARY KEY,
    source varchar(20) NOT NULL,
    doc_type varchar(30) NOT NULL,
    doc_date date NOT NULL,
    raw_text text,
    hawk_score float8,
    dove_score float8,
    change_score varchar(30),
    key_phrases jsonb,
    url varchar(500),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT uq_nlp_documents_natural_key UNIQUE (source, doc_type, doc_date)
);

-- ------------------------------------------------------------------------------ the PMS's book

CREATE TABLE portfolio_positions (
    id bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    instrument varchar(50) NOT NULL,
    asset_class varchar(30) NOT NULL,
    direction varchar(10) NOT NULL,
    quantity float8,
    notional_brl float8 NOT NULL,
    notional_usd float8,
    entry_price float8 NOT NULL,
    entry_date date NOT NULL,
    entry_fx_rate float8,
    current_price float8,
    unrealized_pnl_brl float8,
    unrealized_pnl_usd float8,
    realized_pnl_brl float8,
    realized_pnl_usd float8,
    transaction_cost_brl float8,
    is_open bool NOT NULL,
    closed_at timestamptz,
    close_price float8,
    entry_dv01 float8,
    entry_delta float8,
    entry_convexity float8,
    entry_var_contribution float8,
    entry_spread_duration float8,
    strategy_ids jsonb,
    strategy_weights jsonb,
    notes text,
    metadata_json jsonb
);
CREATE INDEX ix_portfolio_positions_instrument ON portfolio_positions (instrument);
CREATE INDEX ix_portfolio_positions_is_open ON portfolio_positions (is_open);
CREATE INDEX ix_portfolio_positions_open_class ON portfolio_positions (is_open, asset_class);

CREATE TABLE trade_proposals (
    id bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    instrument varchar(50) NOT NULL,
    asset_class varchar(30) NOT NULL,
    direction varchar(10) NOT NULL,
    suggested_notional_brl float8 NOT NULL,
    suggested_quantity float8,
    conviction float8 NOT NULL,
    signal_source varchar(100),
    strategy_ids jsonb,
    rationale text,
    risk_impact jsonb,
    status varchar(20) NOT NULL,
    reviewed_by varchar(100),
    reviewed_at timestamptz,
    execution_price float8,
    execution_notional_brl float8,
    position_id bigint REFERENCES portfolio_positions (id),
    notes text,
    metadata_json jsonb
);
CREATE INDEX ix_trade_proposals_status ON trade_proposals (status);

CREATE TABLE decision_journal (
    id bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    entry_type varchar(30) NOT NULL,
    position_id bigint REFERENCES portfolio_positions (id),
    proposal_id bigint REFERENCES trade_proposals (id),
    instrument varchar(50),
    direction varchar(10),
    notional_brl float8,
    entry_price float8,
    manager_notes text,
    system_notes text,
    market_snapshot jsonb,
    portfolio_snapshot jsonb,
    content_hash varchar(64) NOT NULL,
    is_locked bool NOT NULL,
    metadata_json jsonb
);
CREATE INDEX ix_decision_journal_entry_type ON decision_journal (entry_type);
CREATE INDEX ix_decision_journal_position_id ON decision_journal (position_id);
CREATE INDEX ix_decision_journal_created_at ON decision_journal (created_at);

CREATE TABLE daily_briefings (
    id bigserial PRIMARY KEY,
    briefing_date date NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    market_snapshot jsonb,
    regime_assessment jsonb,
    agent_views jsonb,
    top_signals jsonb,
    signal_changes jsonb,
    portfolio_state jsonb,
    trade_proposals jsonb,
    risk_summary jsonb,
    macro_narrative text,
    action_items jsonb,
    metadata_json jsonb
);

-- As in the PMS: TRUNCATE passes by it, and an unlocked row may change but not go (a DELETE has no
-- NEW, so nothing is deleted).
CREATE FUNCTION prevent_journal_modification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.is_locked THEN
        RAISE EXCEPTION 'Cannot modify or delete locked decision journal entry (id=%)', OLD.id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER trg_decision_journal_immutable
    BEFORE UPDATE OR DELETE ON decision_journal
    FOR EACH ROW EXECUTE FUNCTION prevent_journal_modification();

-- --------------------------------------------------------------------------------- hypertables

DO $$
DECLARE
    h record;
    has_compression constant bool := current_setting('timescaledb.license') <> 'apache';
BEGIN
    -- It advises text instead of varchar; the PMS has varchar.
    PERFORM set_config('client_min_messages', 'error', true);
    FOR h IN SELECT * FROM (VALUES
        -- name, time column, days in a chunk, compressed after days, by (null: never)
        ('market_data', 'timestamp', 30, 30, 'instrument_id'),
        ('macro_series', 'observation_date', 360, 90, 'series_id'),
        ('curves', 'curve_date', 90, 90, 'curve_id'),
        ('flow_data', 'observation_date', 360, 90, 'series_id'),
        ('fiscal_data', 'observation_date', 360, 180, 'series_id'),
        ('vol_surfaces', 'surface_date', 360, 90, 'instrument_id'),
        ('signals', 'signal_date', 360, 90, 'signal_type'),
        ('strategy_signals', 'signal_date', 360, NULL, NULL),
        ('portfolio_state', 'timestamp', 7, 30, 'instrument'),
        ('position_pnl_history', 'snapshot_date', 90, 60, 'position_id'),
        ('portfolio_returns', 'return_date', 90, NULL, NULL)
    ) AS listed (name, time_column, chunk_days, compress_days, segment_by)
    LOOP
        PERFORM create_hypertable(
            h.name::regclass, by_range(h.time_column, make_interval(days => h.chunk_days)));
        IF has_compression AND h.compress_days IS NOT NULL THEN
            EXECUTE format(
                'ALTER TABLE %I SET (timescaledb.compress, timescaledb.compress_segmentby = %L,'
                ' timescaledb.compress_orderby = %L)',
                h.name, h.segment_by, quote_ident(h.time_column) || ' DESC');
            PERFORM add_compression_policy(h.name::regclass, make_interval(days => h.compress_days));
        END IF;
    END LOOP;
    PERFORM set_config('client_min_messages', 'warning', true);
END
$$;
