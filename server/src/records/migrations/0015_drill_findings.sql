-- What a drill has shown to be wrong, with what is done about it, by whom and until when; and who has signed its report.
-- These follow the drill and are not part of its signed journal: they change, and every change is in the audit trail.
CREATE TABLE drill_findings (
    id TEXT PRIMARY KEY,
    drill_id TEXT NOT NULL REFERENCES drills (id),
    number BIGINT NOT NULL,
    finding TEXT NOT NULL,
    action TEXT NOT NULL,
    owner TEXT NOT NULL,
    due_ms BIGINT NOT NULL,
    noted_by TEXT NOT NULL,
    noted_at_ms BIGINT NOT NULL,
    closed_by TEXT,
    closed_at_ms BIGINT,
    closed_note TEXT,
    UNIQUE (drill_id, number)
);
CREATE INDEX drill_findings_open ON drill_findings (due_ms) WHERE closed_at_ms IS NULL;

-- A signature names the hash of the journal that was signed.
CREATE TABLE drill_sign_offs (
    drill_id TEXT NOT NULL REFERENCES drills (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    journal_hash TEXT NOT NULL,
    note TEXT NOT NULL,
    signed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (drill_id, user_id)
);
