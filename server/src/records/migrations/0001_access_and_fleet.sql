CREATE TABLE users (
    id TEXT PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    disabled_at_ms BIGINT
);

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (user_id, role)
);

CREATE TABLE failed_logins (
    username TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX failed_logins_by_user ON failed_logins (username, at_ms);

CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at_ms BIGINT NOT NULL,
    last_used_at_ms BIGINT NOT NULL
);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    token_hash TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE enrol_tokens (
    token_hash TEXT PRIMARY KEY,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms BIGINT,
    used_by_host TEXT
);

CREATE TABLE hosts (
    id TEXT PRIMARY KEY,
    instance TEXT NOT NULL UNIQUE,
    machine_id TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    agent_version TEXT NOT NULL,
    interval_seconds BIGINT NOT NULL,
    enrolled_at_ms BIGINT NOT NULL,
    started_at_ms BIGINT,
    last_seen_ms BIGINT,
    actions TEXT NOT NULL DEFAULT '[]',
    retired_at_ms BIGINT
);

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    host_id TEXT NOT NULL REFERENCES hosts (id),
    drill_id TEXT NOT NULL,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    signature TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    result TEXT,
    ended_at_ms BIGINT
);
CREATE INDEX orders_open ON orders (host_id, created_at_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX orders_of_drill ON orders (drill_id);
