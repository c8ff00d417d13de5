-- Services whose capacity is driven by load: what people entered, as JSON.
CREATE TABLE capacity_services (
    name TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    entered_at_ms BIGINT NOT NULL,
    entered_by TEXT NOT NULL
);
