-- Who approved a drill of a plan, as the plan stood then. An approval holds for one drill and until a time.
CREATE TABLE drill_approvals (
    id TEXT PRIMARY KEY,
    plan_id TEXT NOT NULL,
    plan_sha256 TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    actor TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    reason TEXT NOT NULL,
    given_at_ms BIGINT NOT NULL,
    valid_until_ms BIGINT NOT NULL,
    withdrawn_at_ms BIGINT,
    drill_id TEXT REFERENCES drills (id)
);
CREATE INDEX drill_approvals_of_plan ON drill_approvals (plan_id, given_at_ms);
