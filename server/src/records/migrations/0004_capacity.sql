-- Every evaluation of every resource, kept for later scoring.
CREATE TABLE forecasts (
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    resource TEXT NOT NULL,
    item TEXT NOT NULL,
    made_at_ms BIGINT NOT NULL,
    data_end_ms BIGINT NOT NULL,
    known_hours BIGINT NOT NULL,
    full_value DOUBLE PRECISION NOT NULL,
    threshold_percent DOUBLE PRECISION NOT NULL,
    current_percent DOUBLE PRECISION,
    state TEXT NOT NULL,
    reason TEXT,
    crossing TEXT,
    earliest_ms BIGINT,
    likely_ms BIGINT,
    latest_ms BIGINT,
    made TEXT
);
CREATE INDEX forecasts_by_resource ON forecasts (instance, resource, item, id);
CREATE INDEX forecasts_by_time ON forecasts (made_at_ms);

-- The newest evaluation of each resource, with its hourly paths and the memory of its signal.
CREATE TABLE forecast_latest (
    instance TEXT NOT NULL,
    resource TEXT NOT NULL,
    item TEXT NOT NULL,
    forecast_id BIGINT NOT NULL,
    running BIGINT NOT NULL,
    counted_ms BIGINT NOT NULL,
    since_ms BIGINT,
    paths_start_ms BIGINT,
    paths BLOB,
    PRIMARY KEY (instance, resource, item)
);

CREATE TABLE forecast_runs (
    id INTEGER PRIMARY KEY,
    started_at_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    hosts BIGINT NOT NULL,
    resources BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    failed_hosts BIGINT NOT NULL
);
