-- Real disruptions: declared and lifted by people, with what they wrote. Nothing is deleted.
CREATE TABLE disruptions (
    id TEXT PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    plan_id TEXT,
    service TEXT NOT NULL,
    address TEXT NOT NULL,
    form TEXT NOT NULL,
    reporter TEXT NOT NULL,
    reported_at_ms BIGINT NOT NULL,
    analysis TEXT NOT NULL,
    basis TEXT NOT NULL,
    began_at_ms BIGINT NOT NULL,
    declared_by TEXT NOT NULL,
    declared_at_ms BIGINT NOT NULL,
    rto_target_ms BIGINT,
    rpo_target_ms BIGINT,
    cause TEXT,
    effect TEXT,
    recovered_at_ms BIGINT,
    data_until_ms BIGINT,
    lifted_by TEXT,
    lifted_at_ms BIGINT,
    lift_note TEXT
);
CREATE INDEX disruptions_open ON disruptions (declared_at_ms) WHERE lifted_at_ms IS NULL;

-- What happened meanwhile, in order: notes, tasks, tasks that were done, who was told.
CREATE TABLE disruption_entries (
    disruption_id TEXT NOT NULL REFERENCES disruptions (id),
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    task BIGINT,
    words TEXT NOT NULL,
    owner TEXT,
    PRIMARY KEY (disruption_id, seq)
);

-- Units that are to be told through a webhook, until they were.
CREATE TABLE disruption_notices (
    id TEXT PRIMARY KEY,
    disruption_id TEXT NOT NULL REFERENCES disruptions (id),
    unit TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT
);
CREATE INDEX disruption_notices_open ON disruption_notices (next_at_ms) WHERE ended_at_ms IS NULL;
