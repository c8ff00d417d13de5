-- Events that are known beforehand: tenders' deadlines, holidays, maintenance. `uid` tells an event that is imported
-- again from a new one.
CREATE TABLE known_events (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    name TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    added_at_ms BIGINT NOT NULL,
    added_by TEXT NOT NULL
);
CREATE INDEX known_events_by_time ON known_events (to_ms);
