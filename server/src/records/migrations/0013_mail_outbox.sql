-- Messages to be sent: one row for a message and a recipient. `msg_key` names the cause, so that one cause is sent once.
CREATE TABLE mail_outbox (
    id INTEGER PRIMARY KEY,
    msg_key TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    attachment_name TEXT NOT NULL,
    attachment_type TEXT NOT NULL,
    attachment BLOB,
    -- `waiting`, `sent` or `failed`.
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    queued_at_ms BIGINT NOT NULL,
    next_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT,
    last_error TEXT NOT NULL,
    UNIQUE (msg_key, recipient)
);
CREATE INDEX mail_outbox_by_status ON mail_outbox (status, next_at_ms);
