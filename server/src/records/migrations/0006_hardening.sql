-- Whose attempt a failed login was: `address:…`, `device:…` or `session:…`.
ALTER TABLE failed_logins ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE INDEX failed_logins_by_source ON failed_logins (source, at_ms);

-- Browsers in which a user has signed in before.
CREATE TABLE devices (
    token_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    last_used_at_ms BIGINT NOT NULL
);
CREATE INDEX devices_of_user ON devices (user_id, last_used_at_ms);

-- The host in service that a token may enrol again; empty for a new host.
ALTER TABLE enrol_tokens ADD COLUMN for_host TEXT NOT NULL DEFAULT '';

-- Single values of the server itself.
CREATE TABLE server_state (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
