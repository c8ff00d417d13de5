-- What came of a forecast at a fixed distance: one row for a component, a day of forecasts and a distance.
CREATE TABLE forecast_scores (
    instance TEXT NOT NULL,
    resource TEXT NOT NULL,
    item TEXT NOT NULL,
    made_day BIGINT NOT NULL,
    days BIGINT NOT NULL,
    due_at_ms BIGINT NOT NULL,
    p10 DOUBLE PRECISION NOT NULL,
    p50 DOUBLE PRECISION NOT NULL,
    p90 DOUBLE PRECISION NOT NULL,
    threshold_percent DOUBLE PRECISION NOT NULL,
    last_percent DOUBLE PRECISION,
    actual_percent DOUBLE PRECISION,
    -- `past`: it was exceeded already; `foretold` or `quiet`: whether a crossing within this distance was foretold.
    foretold TEXT NOT NULL,
    likely_ms BIGINT,
    crossed_at_ms BIGINT,
    PRIMARY KEY (instance, resource, item, made_day, days)
);
CREATE INDEX forecast_scores_by_time ON forecast_scores (due_at_ms);

-- The register of components. A measured one has its host's name; one that people count has an empty instance, its
-- category as resource and its name as item.
CREATE TABLE capacity_components (
    instance TEXT NOT NULL,
    resource TEXT NOT NULL,
    item TEXT NOT NULL,
    owner TEXT NOT NULL,
    target TEXT NOT NULL,
    note TEXT NOT NULL,
    threshold_percent DOUBLE PRECISION,
    unit TEXT NOT NULL,
    capacity DOUBLE PRECISION,
    used DOUBLE PRECISION,
    expected DOUBLE PRECISION,
    entered_at_ms BIGINT NOT NULL,
    entered_by TEXT NOT NULL,
    PRIMARY KEY (instance, resource, item)
);

-- Proposals against shortages, and everything that happened to each.
CREATE TABLE capacity_proposals (
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    resource TEXT NOT NULL,
    item TEXT NOT NULL,
    status TEXT NOT NULL,
    what TEXT NOT NULL,
    add_percent DOUBLE PRECISION NOT NULL,
    full_value DOUBLE PRECISION NOT NULL,
    due_ms BIGINT NOT NULL,
    evidence TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    changed_at_ms BIGINT NOT NULL
);
CREATE INDEX capacity_proposals_by_component ON capacity_proposals (instance, resource, item, id);

CREATE TABLE capacity_proposal_events (
    id INTEGER PRIMARY KEY,
    proposal_id BIGINT NOT NULL REFERENCES capacity_proposals (id),
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    what TEXT NOT NULL,
    add_percent DOUBLE PRECISION NOT NULL,
    due_ms BIGINT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX capacity_proposal_events_of ON capacity_proposal_events (proposal_id, id);
