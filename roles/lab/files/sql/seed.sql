-- The lab's data: three years up to a given day, the same for the same day, made on the server.
--
-- Runs as the owner of the database, in one transaction (psql --single-transaction), with:
--   as_of  the last day with data: the business day of B3 before today
--   scale  1: about 200 MB; 10: about 2 GB; 0.1: 90 MB. Quotes, vol surfaces and signals grow with it.
--   reach  only to add days: the newest day that the database has. Whatever is there stays as it
--          is; topup.sql is this file under another name.
-- Nothing is random: a value is a function of its instrument and its day, so that days which are
-- added later fit to those before.
\if :{?reach}
    \set is_new false
\else
    \set is_new true
    \set reach ''
\endif

SET LOCAL timezone = 'UTC';
SET LOCAL client_min_messages = 'warning';
SELECT coalesce(nullif(:'reach', '')::date + 1, :'as_of'::date - interval '3 years')::date AS since,
    greatest(1, round(24 * :scale))::int AS bars, greatest(1, round(5 * :scale))::int AS deltas,
    greatest(1, round(:scale))::int AS copies, least(366 * greatest(1, :scale), 1200)::int AS state_days \gset

-- ------------------------------------------------------------------------------------ functions

-- Evenly spread over [0, 1), and always the same for the same arguments.
CREATE FUNCTION pg_temp.noise(a bigint, b bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashint8extended(a * 1000003 + b, 7) & 1048575)::float8 / 1048576
$$;

-- A level that wanders around *base* by *swing* (0.1: 10 %); *n* is the day, with a fraction.
CREATE FUNCTION pg_temp.level(base float8, swing float8, key bigint, n float8) RETURNS float8
LANGUAGE sql IMMUTABLE AS $$
    SELECT base * (1 + swing * (0.55 * sin(n / 61 + key) + 0.28 * sin(n / 17.3 + 2.1 * key)
        + 0.1 * sin(n / 3.7 + 3 * key) + 0.09 * (pg_temp.noise(key, (n * 1440)::bigint) - 0.5)))
$$;

CREATE FUNCTION pg_temp.day_number(day date) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT day - date '2000-01-01'
$$;

-- B3 also rests on days that move with Easter: Carnival, Good Friday, Corpus Christi.
-- Source: the anonymous Gregorian algorithm.
CREATE FUNCTION pg_temp.easter(year int) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    a int := year % 19;  b int := year / 100;  c int := year % 100;
    h int := (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    l int := (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    m int := (a + 11 * h + 22 * l) / 451;
BEGIN
    RETURN make_date(year, (h + l - 7 * m + 114) / 31, (h + l - 7 * m + 114) % 31 + 1);
END
$$;

CREATE FUNCTION pg_temp.is_b3_day(day date) RETURNS bool LANGUAGE sql IMMUTABLE AS $$
    SELECT extract(isodow FROM day) < 6
        AND to_char(day, 'MM-DD') NOT IN ('01-01', '04-21', '05-01', '09-07', '10-12', '11-02',
                                          '11-15', '12-24', '12-25')
        -- The last weekday of the year is for the banks' books.
        AND day <> make_date(extract(year FROM day)::int, 12, 31)
            - greatest(extract(isodow FROM make_date(extract(year FROM day)::int, 12, 31))::int - 5, 0)
        AND NOT (to_char(day, 'MM-DD') = '11-20' AND day >= '2024-01-01')
        AND day - pg_temp.easter(extract(year FROM day)::int) NOT IN (-48, -47, -2, 60)
$$;

-- A float as Python writes it, for the journal's hash.
CREATE FUNCTION pg_temp.python_float(x float8) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN x IS NULL THEN 'null' WHEN x::text ~ '[.e]' THEN x::text ELSE x || '.0' END
$$;

-- The PMS's rules: prices of rates are unit prices for a face value of 100,000.
CREATE FUNCTION pg_temp.pnl(class text, direction text, notional float8, entry float8, price float8)
RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE class WHEN 'RATES' THEN (price - entry) * notional / 100000
                      ELSE notional * (price / entry - 1) END
         * CASE direction WHEN 'LONG' THEN 1 ELSE -1 END
$$;
CREATE FUNCTION pg_temp.cost(instrument text, notional float8) RETURNS float8
LANGUAGE sql IMMUTABLE AS $$
    SELECT notional / 10000 * CASE
        WHEN instrument ^@ 'DI1' THEN 1.0 WHEN instrument ^@ 'DDI' THEN 1.5
        WHEN instrument ^@ 'DOL' THEN 0.8 WHEN instrument ^@ 'NTN_B' THEN 3.0
        WHEN instrument ^@ 'LTN' THEN 1.5 WHEN instrument ^@ 'UST' THEN 0.6
        WHEN instrument ^@ 'ZN' OR instrument ^@ 'ZF' THEN 1.1 WHEN instrument ^@ 'ES' THEN 1.0
        WHEN instrument ^@ 'CDS' THEN 5.0 WHEN instrument ^@ 'IBOV' THEN 1.5 ELSE 2.0 END
$$;

-- ------------------------------------------------------------------------------- what there is

-- The days to make; *n* numbers them. Markets abroad trade on each weekday.
CREATE TEMPORARY TABLE days AS
SELECT day::date, pg_temp.day_number(day::date) AS n, pg_temp.is_b3_day(day::date) AS is_b3
FROM generate_series(:'since'::date, :'as_of'::date, interval '1 day') AS day
WHERE extract(isodow FROM day) < 6;

CREATE TEMPORARY TABLE market (
    key serial, ticker text, name text, class text, type text, country text, currency text,
    exchange text, base float8, swing float8, digits int, source text, only_b3 bool);
INSERT INTO market (
    ticker, name, class, type, country, currency, exchange, base, swing, digits, source, only_b3)
VALUES
    ('USDBRL', 'US dollar against real', 'FX', 'SPOT', 'BR', 'BRL', 'OTC', 5.35, 0.09, 4, 'YAHOO', false),
    ('USDBRL_PTAX', 'PTAX, selling rate', 'FX', 'SPOT', 'BR', 'BRL', 'BCB', 5.35, 0.09, 4, 'BCB_PTAX', true),
    ('DOL_FUT', 'US dollar future', 'FX', 'FUTURE', 'BR', 'BRL', 'B3', 5380, 0.09, 1, 'B3', true),
    ('EURUSD', 'Euro against US dollar', 'FX', 'SPOT', 'US', 'USD', 'OTC', 1.09, 0.05, 5, 'YAHOO', false),
    ('USDMXN', 'US dollar against Mexican peso', 'FX', 'SPOT', 'MX', 'MXN', 'OTC', 18.4, 0.1, 4, 'YAHOO', false),
    ('USDZAR', 'US dollar against rand', 'FX', 'SPOT', 'ZA', 'ZAR', 'OTC', 18.1, 0.1, 4, 'YAHOO', false),
    ('DXY', 'Dollar index', 'FX', 'INDEX', 'US', 'USD', 'ICE', 104, 0.05, 3, 'YAHOO', false),
    ('DI1F28', 'DI future January 2028', 'RATES', 'FUTURE', 'BR', 'BRL', 'B3', 85200, 0.02, 2, 'B3', true),
    ('DI1F29', 'DI future January 2029', 'RATES', 'FUTURE', 'BR', 'BRL', 'B3', 75400, 0.03, 2, 'B3', true),
    ('DI1F31', 'DI future January 2031', 'RATES', 'FUTURE', 'BR', 'BRL', 'B3', 58900, 0.05, 2, 'B3', true),
    ('DI1F33', 'DI future January 2033', 'RATES', 'FUTURE', 'BR', 'BRL', 'B3', 45800, 0.06, 2, 'B3', true),
    ('DDIF28', 'DDI future January 2028', 'RATES', 'FUTURE', 'BR', 'USD', 'B3', 93400, 0.02, 2, 'B3', true),
    ('LTN_2029', 'Treasury bill 2029', 'SOVEREIGN', 'BOND', 'BR', 'BRL', 'ANBIMA', 752, 0.04, 4, 'ANBIMA', true),
    ('NTN_B_2030', 'Inflation-linked bond 2030', 'INFLATION', 'BOND', 'BR', 'BRL', 'ANBIMA', 4310, 0.04, 4, 'ANBIMA', true),
    ('NTN_B_2035', 'Inflation-linked bond 2035', 'INFLATION', 'BOND', 'BR', 'BRL', 'ANBIMA', 4215, 0.06, 4, 'ANBIMA', true),
    ('NTN_B_2050', 'Inflation-linked bond 2050', 'INFLATION', 'BOND', 'BR', 'BRL', 'ANBIMA', 4080, 0.09, 4, 'ANBIMA', true),
    ('UST_2Y', 'Treasury note, 2 years', 'RATES', 'BOND', 'US', 'USD', 'OTC', 100.4, 0.01, 4, 'YAHOO', false),
    ('UST_10Y', 'Treasury note, 10 years', 'RATES', 'BOND', 'US', 'USD', 'OTC', 98.7, 0.03, 4, 'YAHOO', false),
    ('ZN_FUT', 'Treasury note future, 10 years', 'RATES', 'FUTURE', 'US', 'USD', 'CBOT', 110.5, 0.03, 4, 'YAHOO', false),
    ('ZF_FUT', 'Treasury note future, 5 years', 'RATES', 'FUTURE', 'US', 'USD', 'CBOT', 107.2, 0.02, 4, 'YAHOO', false),
    ('CDS_BR_5Y', 'Brazil CDS, 5 years', 'CREDIT', 'CDS', 'BR', 'USD', 'OTC', 165, 0.2, 2, 'TRADING_ECONOMICS', false),
    ('IBOV', 'Bovespa index', 'EQUITY', 'INDEX', 'BR', 'BRL', 'B3', 131000, 0.1, 0, 'YAHOO', true),
    ('IBOV_FUT', 'Bovespa index future', 'EQUITY', 'FUTURE', 'BR', 'BRL', 'B3', 132500, 0.1, 0, 'B3', true),
    ('ES_FUT', 'S&P 500 future', 'EQUITY', 'FUTURE', 'US', 'USD', 'CME', 5850, 0.12, 2, 'YAHOO', false),
    ('VIX', 'Volatility index', 'EQUITY', 'INDEX', 'US', 'USD', 'CBOE', 17.5, 0.35, 2, 'YAHOO', false),
    ('EWZ', 'Brazil ETF', 'EQUITY', 'ETF', 'US', 'USD', 'NYSE', 30.2, 0.14, 2, 'YAHOO', false),
    ('GOLD', 'Gold', 'COMMODITY', 'FUTURE', 'US', 'USD', 'COMEX', 2480, 0.16, 1, 'YAHOO', false),
    ('BRENT', 'Brent oil', 'COMMODITY', 'FUTURE', 'GB', 'USD', 'ICE', 79, 0.14, 2, 'YAHOO', false),
    ('IRON_ORE', 'Iron ore', 'COMMODITY', 'FUTURE', 'CN', 'USD', 'SGX', 108, 0.15, 2, 'YAHOO', false);
-- The rate that the central bank fixes is that of the market.
UPDATE market SET key = 1 WHERE ticker = 'USDBRL_PTAX';

\if :is_new
INSERT INTO data_sources (name, base_url, auth_type, rate_limit_per_minute, default_locale, created_at)
SELECT name, 'https://' || lower(replace(name, '_', '-')) || '.example/api', auth, rate, locale, :'since'::date
FROM (VALUES
    ('BCB_SGS', 'none', 60, 'pt-BR'), ('BCB_PTAX', 'none', 60, 'pt-BR'), ('BCB_FOCUS', 'none', 60, 'pt-BR'),
    ('BCB_FX_FLOW', 'none', 60, 'pt-BR'), ('IBGE_SIDRA', 'none', 60, 'pt-BR'), ('STN_FISCAL', 'none', 60, 'pt-BR'),
    ('B3', 'none', 30, 'pt-BR'), ('ANBIMA', 'oauth2', 30, 'pt-BR'), ('FRED', 'api_key', 120, 'en-US'),
    ('YAHOO', 'none', 60, 'en-US'), ('CFTC_COT', 'none', 30, 'en-US'), ('TRADING_ECONOMICS', 'api_key', 30, 'en-US')
) AS listed (name, auth, rate, locale);

INSERT INTO instruments (
    ticker, name, asset_class, instrument_type, country, currency, exchange, created_at, updated_at)
SELECT ticker, name, class, type, country, currency, exchange, :'since'::date, :'since'::date
FROM market ORDER BY market.ctid;

INSERT INTO series_metadata (
    source_id, series_code, name, frequency, country, unit, is_revisable, release_lag_days, created_at, updated_at)
SELECT d.id, code, d.name || ' ' || code, frequency, country, unit, d.name = 'FRED' AND frequency = 'M',
    CASE frequency WHEN 'M' THEN 9 WHEN 'Q' THEN 29 ELSE 0 END, :'since'::date, :'since'::date
FROM (
    SELECT 'BCB_SGS', unnest('{432,11,12,1,10813,1178,4389,13621,21619,7832}'::text[]), 'D', 'BR', 'rate'
    UNION ALL SELECT 'BCB_SGS', unnest('{433,13522,4513,13762,188,189,190,7478,10841,10842,10843,10844,11426,11427,
        16121,16122,27838,27839,4466,11428,24363,24364,4380,4192,4502,4503,4505,4649,5793,22701,22704,22707,22709,
        20539,20540,20541,20542,20570,20593,20606,20622,20714,20715,20786,21082,21085,21086,21112,21129,28763,29037,
        29038,29039}'::text[]), 'M', 'BR', 'percent'
    UNION ALL SELECT 'BCB_FOCUS', metric || '_' || horizon, 'W', 'BR', 'percent'
        FROM unnest('{IPCA,SELIC,FX,GDP,PRIMARY}'::text[]) AS metric, unnest('{CURRENT,NEXT}'::text[]) AS horizon
    UNION ALL SELECT 'BCB_FX_FLOW', unnest('{COMMERCIAL,FINANCIAL,TOTAL,SWAPS}'::text[]), 'D', 'BR', 'USD_MM'
    UNION ALL SELECT 'IBGE_SIDRA', 'IPCA_' || kind || '_' || g, 'M', 'BR', 'percent'
        FROM unnest('{MOM,WEIGHT}'::text[]) AS kind, generate_series(1, 9) AS g
    UNION ALL SELECT 'STN_FISCAL', unnest('{4513,13762,REVENUE,EXPENSE,PRIMARY,INTEREST}'::text[]), 'M', 'BR', 'BRL_MM'
    UNION ALL SELECT 'CFTC_COT', contract || '_' || trader, 'W', 'US', 'contracts'
        FROM unnest('{ES,NQ,ZN,ZF,ZB,ZT,6E,6J,6B,6M,6L,GC,CL}'::text[]) AS contract,
            unnest('{DEALER,ASSET_MANAGER,LEVERAGED,OTHER}'::text[]) AS trader
    UNION ALL SELECT 'FRED', unnest('{DGS1MO,DGS3MO,DGS6MO,DGS1,DGS2,DGS3,DGS5,DGS7,DGS10,DGS20,DGS30,DFII5,DFII10,
        DFII20,DFII30,T5YIE,T10YIE,T5YIFR,DFF,SOFR,DFEDTARU,DFEDTARL,BAMLH0A0HYM2,BAMLC0A0CM,VIXCLS,DTWEXBGS,
        DCOILWTICO,DCOILBRENTEU,T10Y2Y,T10Y3M}'::text[]), 'D', 'US', 'percent'
    UNION ALL SELECT 'FRED', unnest('{NFCI,ICSA,CCSA,WALCL}'::text[]), 'W', 'US', 'index'
    UNION ALL SELECT 'FRED', unnest('{CPIAUCSL,CPILFESL,PCEPI,PCEPILFE,PPIACO,UNRATE,PAYEMS,CIVPART,AHETPI,JTSJOL,
        INDPRO,TCU,RSAFS,UMCSENT,HOUST,PERMIT,M2SL,MICH}'::text[]), 'M', 'US', 'index'
    UNION ALL SELECT 'FRED', 'GDPC1', 'Q', 'US', 'index'
) AS listed (source, code, frequency, country, unit)
JOIN data_sources d ON d.name = listed.source
ORDER BY d.id, frequency, code;
\endif

-- ---------------------------------------------------------------------------------- market data

INSERT INTO market_data (
    instrument_id, "timestamp", frequency, open, high, low, close, volume, adjusted_close, source)
SELECT i.id,
    d.day + CASE m.ticker WHEN 'USDBRL_PTAX' THEN interval '16:10' ELSE interval '0' END,
    'daily', round(open::numeric, digits), round((greatest(open, close) * 1.002)::numeric, digits),
    round((least(open, close) * 0.998)::numeric, digits), round(close::numeric, digits),
    round(1e6 * pg_temp.noise(m.key + 100, d.n)), round(close::numeric, digits), m.source
FROM days d
JOIN market m ON d.is_b3 OR NOT m.only_b3
JOIN instruments i USING (ticker),
    LATERAL (SELECT pg_temp.level(base, swing, key, d.n) AS close, pg_temp.level(base, swing, key, d.n - 0.4) AS open) AS levels
ORDER BY d.day, i.id;

-- Bars between 13:00 and 20:00 UTC. (OFFSET 0: computed once, where it would be inlined thrice.)
INSERT INTO market_data (
    instrument_id, "timestamp", frequency, open, high, low, close, volume, adjusted_close, source)
SELECT instrument_id, at, 'intraday', open, greatest(open, close) * 1.0004, least(open, close) * 0.9996, close, volume,
    close, source
FROM (
    SELECT i.id AS instrument_id, m.source, moments.at, moments.volume,
        pg_temp.level(base, swing, key, moments.n) AS close,
        pg_temp.level(base, swing, key, moments.n - 0.01) AS open
    FROM (
        SELECT day + make_interval(secs => 46800 + 25200 * share) AS at, n - 0.3 * (1 - share) AS n, is_b3,
            floor(1e4 * pg_temp.noise(200, n * 1000::bigint + bar)) AS volume
        FROM days, generate_series(0, :bars - 1) AS bar, LATERAL (SELECT bar / :bars::float8 AS share) AS parts
        OFFSET 0
    ) AS moments
    JOIN market m ON (moments.is_b3 OR NOT m.only_b3) AND m.ticker <> 'USDBRL_PTAX'
    JOIN instruments i USING (ticker)
    OFFSET 0
) AS bars
ORDER BY at, instrument_id;

INSERT INTO curves (curve_id, curve_date, tenor_days, tenor_label, rate, curve_type, source)
SELECT c.curve_id, d.day, c.tenor, c.tenor || 'd',
    round((pg_temp.level(c.base, 0.06, 300 + c.key, d.n) + c.slope * ln(c.tenor / 30.0))::numeric, 6),
    c.type, c.source
FROM days d
JOIN (
    SELECT 'DI_PRE', 1, 0.138, -0.002, 'swap', 'BCB_SGS', true, generate_series(30, 360, 30)
    UNION ALL SELECT 'DI_PRE', 1, 0.138, -0.002, 'swap', 'TRADING_ECONOMICS', true, unnest('{252,504,1260,2520}'::int[])
    UNION ALL SELECT 'UST_NOM', 2, 0.043, -0.001, 'sovereign', 'FRED', false,
        unnest('{30,90,180,365,730,1095,1825,2555,3650,7300,10950}'::int[])
    UNION ALL SELECT 'NTN_B_REAL', 3, 0.062, 0.001, 'real', 'ANBIMA', true, unnest('{730,1825,3650,7300,10950}'::int[])
    UNION ALL SELECT 'BREAKEVEN', 4, 0.047, 0.001, 'breakeven', 'ANBIMA', true, unnest('{730,1825,3650,7300,10950}'::int[])
) AS c (curve_id, key, base, slope, type, source, only_b3, tenor) ON d.is_b3 OR NOT c.only_b3
ORDER BY d.day, c.key, c.tenor;

INSERT INTO vol_surfaces (instrument_id, surface_date, delta, tenor_days, implied_vol, call_put, source)
SELECT i.id, d.day, round(delta / (:deltas + 1.0), 4), tenor,
    pg_temp.level(0.15, 0.2, 400 + i.id, d.n) * (1 + 0.3 * (delta / (:deltas + 1.0) - 0.5) ^ 2) * (1 + 10.0 / tenor),
    CASE WHEN 2 * delta <= :deltas THEN 'PUT' ELSE 'CALL' END, 'B3'
FROM days d
CROSS JOIN instruments i, generate_series(1, :deltas) AS delta, unnest('{30,60,90,180}'::int[]) AS tenor
WHERE d.is_b3 AND i.ticker IN ('USDBRL', 'EURUSD', 'USDMXN', 'DI1F29', 'IBOV', 'ES_FUT', 'GOLD', 'BRENT')
ORDER BY d.day, i.id, delta, tenor;

-- When a value of a frequency is for, and when it came out.
CREATE TEMPORARY TABLE observed AS
SELECT 'D' AS frequency, day, day AS released, is_b3 FROM days
UNION ALL SELECT 'W', day, day, true FROM days WHERE extract(isodow FROM day) = 5
UNION ALL SELECT 'M', day::date, (day + interval '1 month 9 days')::date, true
    FROM generate_series(date_trunc('month', :'since'::date - interval '2 months'), :'as_of'::date, '1 month') AS day
UNION ALL SELECT 'Q', day::date, (day + interval '3 months 29 days')::date, true
    FROM generate_series(date_trunc('quarter', :'since'::date - interval '6 months'), :'as_of'::date, '3 months') AS day;
DELETE FROM observed WHERE released NOT BETWEEN :'since'::date AND :'as_of'::date;

CREATE TEMPORARY TABLE series AS
SELECT s.id, d.name AS source, s.series_code AS code, s.frequency, s.country, s.unit, s.is_revisable,
    coalesce(known.base, 2 + 8 * pg_temp.noise(500, s.id)) AS base, coalesce(known.swing, 0.1) AS swing
FROM series_metadata s
JOIN data_sources d ON d.id = s.source_id
LEFT JOIN (VALUES
    ('432', 15.0, 0.0), ('11', 0.0551, 0.0), ('12', 0.0551, 0.0), ('1178', 14.9, 0.0), ('4389', 14.9, 0.0),
    ('433', 0.42, 0.5), ('13522', 4.7, 0.1), ('1', 5.35, 0.09), ('10813', 5.349, 0.09)
) AS known (code, base, swing) ON d.name = 'BCB_SGS' AND known.code = s.series_code;

INSERT INTO macro_series (series_id, observation_date, value, release_time, revision_number, source)
SELECT s.id, o.day,
    round((pg_temp.level(s.base, s.swing, CASE WHEN s.code IN ('1', '10813') THEN 1 ELSE 600 + s.id END,
        pg_temp.day_number(o.day)) * (1 + revision * 0.001))::numeric, 4),
    o.released + revision * 30 + interval '18 hours', revision, s.source
FROM observed o
JOIN series s ON s.frequency = o.frequency AND (o.is_b3 OR s.country <> 'BR')
CROSS JOIN generate_series(0, 1) AS revision
WHERE s.source NOT IN ('BCB_FX_FLOW', 'CFTC_COT', 'STN_FISCAL')
    AND (revision = 0 OR s.is_revisable AND o.released + 30 <= :'as_of'::date)
ORDER BY o.day, s.id, revision;

INSERT INTO flow_data (series_id, observation_date, value, flow_type, unit, release_time)
SELECT s.id, o.day, round((4000 * (pg_temp.noise(700 + s.id, pg_temp.day_number(o.day)) - 0.5))::numeric, 2),
    lower(s.code), s.unit, o.released + interval '20 hours'
FROM observed o
JOIN series s ON s.frequency = o.frequency AND (o.is_b3 OR s.country <> 'BR')
WHERE s.source IN ('BCB_FX_FLOW', 'CFTC_COT')
ORDER BY o.day, s.id;

INSERT INTO fiscal_data (series_id, observation_date, value, fiscal_metric, release_time)
SELECT s.id, o.day, round((90000 * pg_temp.noise(800 + s.id, pg_temp.day_number(o.day)))::numeric, 2),
    CASE s.code WHEN '4513' THEN 'net_debt' WHEN '13762' THEN 'gross_debt' ELSE lower(s.code) END,
    o.released + interval '20 hours'
FROM observed o
JOIN series s USING (frequency)
WHERE s.source = 'STN_FISCAL'
ORDER BY o.day, s.id;

-- ------------------------------------------------------------------- signals, reports and runs

CREATE TEMPORARY TABLE agents (key serial, agent text, subject text);
INSERT INTO agents (agent, subject) VALUES
    ('inflation_agent', 'inflation'), ('monetary_agent', 'monetary policy'), ('fiscal_agent', 'the fiscal balance'),
    ('fx_agent', 'the real'), ('cross_asset_agent', 'all markets');

INSERT INTO signals (signal_type, signal_date, instrument_id, value, confidence)
SELECT kind || CASE WHEN copy > 1 THEN '_' || copy ELSE '' END, d.day, i.id,
    2 * pg_temp.noise(900 + i.id, d.n * 100::bigint + kinds.key * 10 + copy) - 1,
    pg_temp.noise(950 + i.id, d.n * 100::bigint + kinds.key * 10 + copy)
FROM days d
CROSS JOIN instruments i,
    unnest('{momentum,carry,value,sentiment}'::text[]) WITH ORDINALITY AS kinds (kind, key), generate_series(1, :copies) AS copy
WHERE d.is_b3
ORDER BY d.day, i.id, kinds.key, copy;

-- An agent's own signal has no instrument, so the table's natural key does not hold it.
INSERT INTO signals (signal_type, signal_date, value, confidence, metadata_json)
SELECT a.agent, d.day, 2 * pg_temp.noise(1000 + a.key, d.n) - 1, 0.5 + pg_temp.noise(1010 + a.key, d.n) / 2, '{}'
FROM days d CROSS JOIN agents a
WHERE d.is_b3 AND NOT EXISTS (SELECT FROM signals s WHERE s.signal_type = a.agent AND s.signal_date = d.day)
ORDER BY d.day, a.key;

INSERT INTO agent_reports (
    agent_id, as_of_date, signals_count, narrative, model_diagnostics, data_quality_flags, created_at)
SELECT a.agent, d.day, 1,
    format('The view on %s is %s, with a conviction of %s %%.', a.subject,
        (ARRAY['positive', 'neutral', 'negative'])[1 + floor(3 * pg_temp.noise(1020 + a.key, d.n))::int],
        round(50 + 45 * pg_temp.noise(1030 + a.key, d.n)::numeric)),
    jsonb_build_object('r_squared', round((0.4 + 0.4 * pg_temp.noise(1040 + a.key, d.n))::numeric, 3)), '{}',
    d.day + interval '21 hours 30 minutes'
FROM days d CROSS JOIN agents a
WHERE d.is_b3 AND NOT EXISTS (SELECT FROM agent_reports r WHERE r.agent_id = a.agent AND r.as_of_date = d.day)
ORDER BY d.day, a.key;

CREATE TEMPORARY TABLE strategies AS
SELECT n AS key, (ARRAY['FX', 'RATES', 'INF', 'CUPOM', 'SOV', 'CROSS'])[(n - 1) / 4 + 1] || '-0' || ((n - 1) % 4 + 1) AS strategy,
    (SELECT ticker FROM market ORDER BY ctid OFFSET n LIMIT 1) AS ticker
FROM generate_series(1, 24) AS n;

INSERT INTO strategy_signals (strategy_id, signal_date, ticker, weight, confidence)
SELECT s.strategy, d.day, s.ticker, 2 * pg_temp.noise(1100 + s.key, d.n) - 1, pg_temp.noise(1150 + s.key, d.n)
FROM days d CROSS JOIN strategies s
WHERE d.is_b3 AND NOT EXISTS (SELECT FROM strategy_signals x WHERE x.strategy_id = s.strategy AND x.signal_date = d.day)
ORDER BY d.day, s.key;

INSERT INTO strategy_state (
    strategy_id, "timestamp", direction, strength, confidence, z_score, suggested_size, instruments, created_at)
SELECT s.strategy, d.day + interval '21 hours', CASE WHEN z > 0 THEN 'LONG' ELSE 'SHORT' END,
    CASE WHEN abs(z) > 1.5 THEN 'STRONG' ELSE 'MODERATE' END, pg_temp.noise(1250 + s.key, d.n), z, abs(z) / 20,
    jsonb_build_array(s.ticker), d.day + interval '21 hours'
FROM days d CROSS JOIN strategies s, LATERAL (SELECT 5 * pg_temp.noise(1200 + s.key, d.n) - 2.5 AS z) AS drawn
WHERE d.is_b3 AND d.day > :'as_of'::date - 60
    AND NOT EXISTS (SELECT FROM strategy_state x WHERE x.strategy_id = s.strategy AND x."timestamp"::date = d.day)
ORDER BY d.day, s.key;

INSERT INTO pipeline_runs (
    id, run_date, status, duration_seconds, step_timings, signal_count, position_count, regime, summary, created_at)
SELECT md5('pipeline ' || d.day)::uuid, d.day, 'SUCCESS', round((90 + 60 * pg_temp.noise(1300, d.n))::numeric, 1),
    '{"ingest": 41.2, "agents": 22.5, "signals": 12.1, "risk": 6.3, "report": 1.9}', 29 * 4, 12,
    (ARRAY['GOLDILOCKS', 'REFLATION', 'STAGFLATION', 'DEFLATION'])[1 + d.n / 91 % 4], 'End of day', d.day + interval '21 hours'
FROM days d WHERE d.is_b3
ORDER BY d.day
ON CONFLICT DO NOTHING;

INSERT INTO portfolio_state (
    "timestamp", instrument, direction, notional, weight, entry_price, unrealized_pnl, strategy_attribution)
SELECT d.day + interval '21 hours', m.ticker, CASE WHEN size > 0 THEN 'LONG' ELSE 'SHORT' END, abs(size) * 2e7, size / 5,
    m.base, size * 1e5, jsonb_build_object('FX-01', 1.0)
FROM days d JOIN market m ON m.key % 2 = 1 AND m.ticker <> 'USDBRL_PTAX',
    LATERAL (SELECT 2 * pg_temp.noise(1400 + m.key, d.n / 20) - 1 AS size) AS sizes
WHERE d.is_b3 AND d.day > :'as_of'::date - :state_days
ORDER BY d.day, m.key
ON CONFLICT DO NOTHING;

-- The fund's value, which drifts upwards; the return is against the business day before.
CREATE FUNCTION pg_temp.fund_value(n int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
    SELECT exp(0.0003 * (n - 7000) + 0.03 * sin(n / 97.0) + 0.012 * sin(n / 23.0) + 0.007 * pg_temp.noise(1500, n))
$$;
INSERT INTO portfolio_returns (
    return_date, daily_return, cumulative_return, portfolio_nav, n_instruments, weighting_method, created_at)
SELECT d.day, pg_temp.fund_value(d.n) / pg_temp.fund_value(before.n) - 1, grown - 1, 1e8 * grown, 12, 'notional',
    d.day + interval '21 hours'
FROM days d,
    LATERAL (SELECT pg_temp.day_number(max(back)) AS n FROM (
        SELECT d.day - days_back AS back FROM generate_series(1, 15) AS days_back) AS earlier
        WHERE pg_temp.is_b3_day(back)) AS before,
    LATERAL (SELECT pg_temp.fund_value(d.n) / pg_temp.fund_value(pg_temp.day_number(
        coalesce((SELECT min(return_date) FROM portfolio_returns), :'since'::date))) AS grown) AS growth
WHERE d.is_b3
ORDER BY d.day
ON CONFLICT DO NOTHING;

-- ------------------------------------------------------------------------------------ the book

\if :is_new
\set notional_unit 1000000
-- Opened and closed so many business days ago; closed_ago is null where still open.
CREATE TEMPORARY TABLE trades AS
SELECT row_number() OVER (ORDER BY ago DESC, t.ticker) AS id, t.*, m.class
FROM (
    SELECT ticker, direction, notional * :notional_unit AS notional, ago, NULL::int AS closed_ago, strategy
    FROM (VALUES
        ('DI1F29', 'LONG', 30, 64, 'RATES-01'), ('DI1F31', 'LONG', 25, 41, 'RATES-02'), ('DI1F33', 'SHORT', 15, 17, 'RATES-03'),
        ('UST_10Y', 'SHORT', 12, 29, 'RATES-04'), ('USDBRL', 'LONG', 20, 33, 'FX-01'), ('USDMXN', 'SHORT', 12, 22, 'FX-02'),
        ('EURUSD', 'LONG', 8, 11, 'FX-03'), ('NTN_B_2035', 'LONG', 18, 52, 'INF-01'), ('NTN_B_2050', 'LONG', 6, 9, 'INF-02'),
        ('LTN_2029', 'LONG', 10, 47, 'SOV-01'), ('CDS_BR_5Y', 'SHORT', 5, 38, 'SOV-02'), ('IBOV_FUT', 'LONG', 14, 25, 'CROSS-01')
    ) AS open_ones (ticker, direction, notional, ago, strategy)
    UNION ALL
    SELECT (ARRAY['USDBRL', 'DI1F28', 'DI1F29', 'ES_FUT', 'NTN_B_2030', 'USDZAR', 'DDIF28', 'IBOV_FUT', 'ZN_FUT', 'DOL_FUT'])[n % 10 + 1],
        CASE WHEN pg_temp.noise(1600, n) < 0.55 THEN 'LONG' ELSE 'SHORT' END,
        (5 + floor(15 * pg_temp.noise(1601, n))) * :notional_unit, 70 + 21 * n,
        70 + 21 * n - 5 - floor(40 * pg_temp.noise(1602, n))::int, (ARRAY['FX-01', 'RATES-01', 'CROSS-02', 'INF-03'])[n % 4 + 1]
    FROM generate_series(1, 24) AS n
) AS t JOIN market m USING (ticker);

CREATE TEMPORARY TABLE numbered AS
SELECT day, row_number() OVER (ORDER BY day DESC) - 1 AS ago FROM days WHERE is_b3;
CREATE TEMPORARY TABLE closes AS
SELECT i.ticker, m."timestamp"::date AS day, m.close
FROM market_data m JOIN instruments i ON i.id = m.instrument_id WHERE m.frequency = 'daily';
CREATE UNIQUE INDEX ON closes (ticker, day);
ANALYZE closes;

INSERT INTO portfolio_positions (
    created_at, updated_at, instrument, asset_class, direction, notional_brl, notional_usd, entry_price, entry_date,
    entry_fx_rate, current_price, unrealized_pnl_brl, unrealized_pnl_usd, realized_pnl_brl, realized_pnl_usd,
    transaction_cost_brl, is_open, closed_at, close_price, entry_dv01, entry_delta, strategy_ids, strategy_weights, notes)
SELECT opened.day + interval '14 hours', coalesce(closed.day + interval '17 hours', :'as_of'::date + interval '21 hours'),
    t.ticker, t.class, t.direction, t.notional, t.notional / entry_fx.close, entry.close, opened.day, entry_fx.close,
    last.close,
    CASE WHEN closed_ago IS NULL THEN gain ELSE 0 END, CASE WHEN closed_ago IS NULL THEN gain / last_fx.close ELSE 0 END,
    CASE WHEN closed_ago IS NOT NULL THEN gain - cost END,
    CASE WHEN closed_ago IS NOT NULL THEN (gain - cost) / entry_fx.close END,
    cost * CASE WHEN closed_ago IS NULL THEN 1 ELSE 2 END, closed_ago IS NULL,
    closed.day + interval '17 hours', CASE WHEN closed_ago IS NOT NULL THEN last.close END,
    CASE t.class WHEN 'RATES' THEN t.notional * 0.00025 END, CASE t.direction WHEN 'LONG' THEN 1 ELSE -1 END,
    jsonb_build_array(t.strategy), jsonb_build_object(t.strategy, 1.0), format('%s favours %s %s', t.strategy, t.direction, t.ticker)
FROM trades t
JOIN numbered opened ON opened.ago = t.ago
LEFT JOIN numbered closed ON closed.ago = t.closed_ago
JOIN closes entry ON entry.ticker = t.ticker AND entry.day = opened.day
JOIN closes entry_fx ON entry_fx.ticker = 'USDBRL' AND entry_fx.day = opened.day
JOIN closes last ON last.ticker = t.ticker AND last.day = coalesce(closed.day, :'as_of'::date)
JOIN closes last_fx ON last_fx.ticker = 'USDBRL' AND last_fx.day = coalesce(closed.day, :'as_of'::date),
    LATERAL (SELECT pg_temp.pnl(t.class, t.direction, t.notional, entry.close, last.close) AS gain,
                    pg_temp.cost(t.ticker, t.notional) AS cost) AS results
ORDER BY t.id;

INSERT INTO position_pnl_history (
    snapshot_date, position_id, instrument, mark_price, unrealized_pnl_brl, unrealized_pnl_usd, daily_pnl_brl,
    daily_pnl_usd, cumulative_pnl_brl, dv01, delta, var_contribution, fx_rate, is_manual_override)
SELECT day, id, instrument, mark, gain, gain / fx, gain - before, (gain - before) / fx, gain, entry_dv01, entry_delta,
    notional_brl * 0.008, fx, false
FROM (
    SELECT n.day, p.*, c.close AS mark, fx.close AS fx, gain, coalesce(lag(gain) OVER (PARTITION BY p.id ORDER BY n.day), 0) AS before
    FROM portfolio_positions p
    JOIN numbered n ON n.day >= p.entry_date AND n.day <= coalesce(p.closed_at::date, :'as_of'::date)
    JOIN closes c ON c.ticker = p.instrument AND c.day = n.day
    JOIN closes fx ON fx.ticker = 'USDBRL' AND fx.day = n.day,
        LATERAL (SELECT pg_temp.pnl(p.asset_class, p.direction, p.notional_brl, p.entry_price, c.close) AS gain) AS gains
) AS marked
ORDER BY day, id;

-- Every position was proposed; the rest was rejected, or waits.
INSERT INTO trade_proposals (
    created_at, updated_at, instrument, asset_class, direction, suggested_notional_brl, conviction, signal_source,
    strategy_ids, rationale, risk_impact, status, reviewed_by, reviewed_at, execution_price, execution_notional_brl,
    position_id, notes)
SELECT made, coalesce(reviewed, made), ticker, class, direction, notional, conviction, strategy, jsonb_build_array(strategy),
    format('%s signals %s %s with a conviction of %s', strategy, direction, ticker, conviction),
    jsonb_build_object('estimated_leverage_delta', notional / 1e8, 'current_open_positions', 12, 'same_instrument_exposure', 0.0,
        'asset_class_concentration', 0.0),
    status, CASE WHEN reviewed IS NOT NULL THEN 'manager' END, reviewed, price, executed, position_id, notes
FROM (
    SELECT p.created_at - interval '1 hour' AS made, p.created_at AS reviewed, p.instrument AS ticker, p.asset_class AS class,
        p.direction, p.notional_brl * CASE WHEN p.id % 10 = 0 THEN 2 ELSE 1 END AS notional,
        round((0.55 + 0.4 * pg_temp.noise(1700, p.id))::numeric, 2) AS conviction, p.strategy_ids ->> 0 AS strategy,
        CASE WHEN p.id % 10 = 0 THEN 'MODIFIED' ELSE 'APPROVED' END AS status, p.entry_price AS price,
        p.notional_brl AS executed, p.id AS position_id, p.notes
    FROM portfolio_positions p
    UNION ALL
    SELECT n.day + interval '13 hours 30 minutes', n.day + interval '15 hours', m.ticker, m.class,
        CASE WHEN m.key % 2 = 0 THEN 'LONG' ELSE 'SHORT' END, 10e6, 0.61, 'CROSS-03', 'REJECTED', NULL, NULL, NULL,
        'Too close to the limit of the class'
    FROM numbered n JOIN market m ON m.key = n.ago % 29 + 1 WHERE n.ago % 45 = 7 AND n.ago < 400
    UNION ALL
    SELECT :'as_of'::date + interval '21 hours', NULL, m.ticker, m.class, CASE WHEN m.key % 2 = 0 THEN 'LONG' ELSE 'SHORT' END,
        10e6, round((0.58 + 0.03 * (m.key % 9))::numeric, 2), 'FX-04', 'PENDING', NULL, NULL, NULL, NULL
    FROM market m WHERE m.ticker IN ('DI1F28', 'USDZAR', 'NTN_B_2030', 'ES_FUT', 'GOLD')
) AS proposed
ORDER BY made, ticker;

INSERT INTO decision_journal (
    created_at, entry_type, position_id, proposal_id, instrument, direction, notional_brl, entry_price, manager_notes,
    system_notes, content_hash, is_locked)
SELECT at, entry_type, position_id, proposal_id, instrument, direction, notional, price, manager_notes, system_notes,
    -- An outcome note is hashed with a price of 0.0 and stored without one, as in the PMS.
    encode(sha256(convert_to(format(
        '{"direction": %s, "entry_price": %s, "entry_type": %s, "instrument": %s, "manager_notes": %s, "notional_brl": %s, "system_notes": %s}',
        to_json(direction), pg_temp.python_float(coalesce(price, 0)), to_json(entry_type), to_json(instrument),
        to_json(manager_notes), pg_temp.python_float(notional), to_json(system_notes)), 'UTF8')), 'hex'),
    true
FROM (
    SELECT p.created_at AS at, 'OPEN' AS entry_type, p.id AS position_id, t.id AS proposal_id, p.instrument::text, p.direction::text,
        p.notional_brl AS notional, p.entry_price AS price, p.notes AS manager_notes,
        format('Position opened: %s %s', p.direction, p.instrument) AS system_notes
    FROM portfolio_positions p JOIN trade_proposals t ON t.position_id = p.id
    UNION ALL
    SELECT t.reviewed_at, 'MODIFY', t.position_id, t.id, t.instrument, t.direction, t.execution_notional_brl, t.execution_price,
        t.notes, 'Proposal modified and approved: half the size'
    FROM trade_proposals t WHERE t.status = 'MODIFIED'
    UNION ALL
    SELECT p.closed_at, 'CLOSE', p.id, NULL, p.instrument, p.direction, p.notional_brl, p.close_price, 'Target or stop reached',
        format('Position closed: realized %s BRL', round(p.realized_pnl_brl::numeric, 2))
    FROM portfolio_positions p WHERE NOT p.is_open
    UNION ALL
    SELECT p.closed_at + interval '1 day', 'NOTE', p.id, NULL, p.instrument, p.direction, p.notional_brl, NULL,
        'Outcome: as the thesis said', CASE WHEN p.realized_pnl_brl > 0 THEN 'P&L assessment: gain' ELSE 'P&L assessment: loss' END
    FROM portfolio_positions p WHERE NOT p.is_open AND p.id % 3 = 0
    UNION ALL
    SELECT t.reviewed_at, 'REJECT', NULL, t.id, t.instrument, t.direction, t.suggested_notional_brl, 0, t.notes, 'Proposal rejected'
    FROM trade_proposals t WHERE t.status = 'REJECTED'
) AS decided
ORDER BY at, entry_type DESC, instrument;

INSERT INTO backtest_results (
    strategy_id, start_date, end_date, initial_capital, final_equity, total_return, sharpe_ratio, max_drawdown, total_trades,
    run_timestamp, created_at)
SELECT strategy, :'since'::date, :'as_of'::date, 1e6, 1e6 * (1 + gain), gain, 6 * gain, -gain / 3, 120, :'as_of'::date, :'as_of'::date
FROM strategies, LATERAL (SELECT 0.05 + 0.3 * pg_temp.noise(1800, key) AS gain) AS gains
ORDER BY key;

INSERT INTO nlp_documents (source, doc_type, doc_date, raw_text, hawk_score, dove_score, change_score, created_at, updated_at)
SELECT source, kind, day, format('Decision of %s: the committee will act as the data require.', day),
    pg_temp.noise(1900, ago), pg_temp.noise(1901, ago), 'neutral', day, day
FROM numbered, (VALUES ('copom', 'comunicado'), ('fomc', 'statement')) AS documents (source, kind)
WHERE ago % 31 = 3
ORDER BY day, source;
\else
-- The last mark is carried forward, so that the history goes on and no position changes.
INSERT INTO position_pnl_history (
    snapshot_date, position_id, instrument, mark_price, unrealized_pnl_brl, unrealized_pnl_usd, daily_pnl_brl,
    daily_pnl_usd, cumulative_pnl_brl, dv01, delta, var_contribution, fx_rate, is_manual_override)
SELECT d.day, p.id, p.instrument, coalesce(p.current_price, p.entry_price), coalesce(p.unrealized_pnl_brl, 0),
    p.unrealized_pnl_usd, 0, 0, coalesce(p.unrealized_pnl_brl, 0), p.entry_dv01, p.entry_delta, p.notional_brl * 0.008,
    p.entry_fx_rate, false
FROM days d JOIN portfolio_positions p ON p.is_open AND p.entry_date <= d.day
WHERE d.is_b3
ORDER BY d.day, p.id
ON CONFLICT DO NOTHING;
\endif

-- The morning packs of the last month; id and time as the PMS would show them.
INSERT INTO daily_briefings (
    briefing_date, created_at, market_snapshot, regime_assessment, agent_views, top_signals, signal_changes, portfolio_state,
    trade_proposals, risk_summary, macro_narrative, action_items)
SELECT d.day, d.day + interval '9 hours 30 minutes', '{}',
    '{"current_regime": "GOLDILOCKS", "probabilities": {"GOLDILOCKS": 0.6}, "transition_risk": 0.2}',
    (SELECT jsonb_agg(jsonb_build_object('agent_id', agent, 'signal_direction', 'NEUTRAL', 'conviction', 0.5, 'key_drivers', '[]'::jsonb,
        'risks', '[]'::jsonb, 'narrative_excerpt', 'The view on ' || subject || ' is unchanged.') ORDER BY key) FROM agents),
    '[]', '[]', '{}', '[]', '{}', format('Before the opening of %s: the book is within its limits.', d.day),
    '[{"priority": "LOW", "category": "DATA", "description": "Look at the overnight moves", "urgency": "today"}]'
FROM days d WHERE d.is_b3 AND d.day > :'as_of'::date - 30
ORDER BY d.day
ON CONFLICT DO NOTHING;
