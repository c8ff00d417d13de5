-- Alerts that are pending or firing, so that `for` and an open incident survive a restart.
CREATE TABLE rule_alerts (
    rule TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    active_since_ms BIGINT NOT NULL,
    fired_at_ms BIGINT,
    absent_since_ms BIGINT,
    value DOUBLE PRECISION,
    PRIMARY KEY (rule, labels)
);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    year BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    instance TEXT NOT NULL,
    component TEXT NOT NULL,
    manual BIGINT NOT NULL,
    state TEXT NOT NULL,
    impact TEXT NOT NULL,
    urgency TEXT NOT NULL,
    priority TEXT NOT NULL,
    title_id TEXT NOT NULL,
    title_en TEXT NOT NULL,
    detail_id TEXT NOT NULL,
    detail_en TEXT NOT NULL,
    started_at_ms BIGINT NOT NULL,
    opened_at_ms BIGINT NOT NULL,
    quiet_since_ms BIGINT,
    resolved_at_ms BIGINT,
    resolved_by TEXT,
    solution TEXT NOT NULL DEFAULT '',
    handler TEXT,
    UNIQUE (year, seq)
);
-- One open incident per cause.
CREATE UNIQUE INDEX incidents_one_open_per_cause ON incidents (instance, component) WHERE resolved_at_ms IS NULL;
CREATE INDEX incidents_by_cause ON incidents (instance, component, resolved_at_ms);
CREATE INDEX incidents_by_resolution ON incidents (resolved_at_ms);

CREATE TABLE incident_signals (
    id TEXT PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    severity TEXT NOT NULL,
    impact TEXT NOT NULL,
    urgency TEXT NOT NULL,
    title_id TEXT NOT NULL,
    title_en TEXT NOT NULL,
    detail_id TEXT NOT NULL,
    detail_en TEXT NOT NULL,
    value DOUBLE PRECISION,
    started_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    occurrences BIGINT NOT NULL
);
CREATE UNIQUE INDEX incident_signals_standing ON incident_signals (source, key) WHERE ended_at_ms IS NULL;
CREATE INDEX incident_signals_of_incident ON incident_signals (incident_id, started_at_ms);
CREATE INDEX incident_signals_by_end ON incident_signals (ended_at_ms);

CREATE TABLE incident_events (
    id INTEGER PRIMARY KEY,
    incident_id TEXT NOT NULL REFERENCES incidents (id),
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail_id TEXT NOT NULL,
    detail_en TEXT NOT NULL
);
CREATE INDEX incident_events_of_incident ON incident_events (incident_id, id);
