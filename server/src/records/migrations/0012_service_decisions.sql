-- What people decided of services that agents found: to watch them, to stop, to dismiss the proposal. The order that
-- carried it to the agent bears its answer.
CREATE TABLE service_decisions (
    host_id TEXT NOT NULL REFERENCES hosts (id),
    service_id TEXT NOT NULL,
    decision TEXT NOT NULL,
    order_id TEXT REFERENCES orders (id),
    decided_by TEXT NOT NULL,
    decided_at_ms BIGINT NOT NULL,
    PRIMARY KEY (host_id, service_id)
);
