-- Drills, with the text of the plan that they followed: a later change of the file changes no past drill.
CREATE TABLE drills (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    plan_id TEXT NOT NULL,
    plan_name TEXT NOT NULL,
    service TEXT NOT NULL,
    plan_file TEXT NOT NULL,
    plan_text TEXT NOT NULL,
    plan_sha256 TEXT NOT NULL,
    started_by TEXT NOT NULL,
    scheduled_for_ms BIGINT,
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    status TEXT NOT NULL,
    restored BIGINT,
    rto_target_ms BIGINT NOT NULL,
    rto_ms BIGINT,
    downtime_ms BIGINT,
    reasons TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX drills_of_plan ON drills (plan_id, created_at_ms);
CREATE INDEX drills_running ON drills (status) WHERE ended_at_ms IS NULL;

-- Append-only: each row bears the hash of the one before.
CREATE TABLE drill_journal (
    drill_id TEXT NOT NULL REFERENCES drills (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (drill_id, seq)
);

-- Raw traces of probes, in parts as they were written during the drill.
CREATE TABLE drill_traces (
    drill_id TEXT NOT NULL REFERENCES drills (id),
    probe TEXT NOT NULL,
    part BIGINT NOT NULL,
    points TEXT NOT NULL,
    PRIMARY KEY (drill_id, probe, part)
);

-- Up to which instant the schedule of a plan was dealt with.
CREATE TABLE plan_schedules (
    plan_id TEXT PRIMARY KEY,
    handled_until_ms BIGINT NOT NULL
);
