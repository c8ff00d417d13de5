-- The register. What people entered stands here; what agents saw stands in the tables below, so that neither can
-- overwrite the other.
CREATE TABLE assets (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    class TEXT NOT NULL,
    host_id TEXT UNIQUE REFERENCES hosts (id),
    state TEXT NOT NULL,
    sub_class TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL DEFAULT '',
    custodian TEXT NOT NULL DEFAULT '',
    location TEXT NOT NULL DEFAULT '',
    supplier TEXT NOT NULL DEFAULT '',
    confidentiality BIGINT,
    integrity BIGINT,
    availability BIGINT,
    valid_until TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    created_at_ms BIGINT NOT NULL,
    entered_at_ms BIGINT,
    entered_by TEXT NOT NULL DEFAULT '',
    entered_text TEXT NOT NULL DEFAULT '',
    seen_text TEXT NOT NULL DEFAULT ''
);
CREATE INDEX assets_by_class ON assets (class, id);

-- The newest inventory of a host, without its packages.
CREATE TABLE asset_seen (
    asset_id BIGINT PRIMARY KEY REFERENCES assets (id) ON DELETE CASCADE,
    seen_at_ms BIGINT NOT NULL,
    facts TEXT NOT NULL
);

CREATE TABLE asset_packages (
    asset_id BIGINT NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (asset_id, name, version)
);
CREATE INDEX asset_packages_by_name ON asset_packages (name);

CREATE TABLE asset_changes (
    id INTEGER PRIMARY KEY,
    asset_id BIGINT NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    at_ms BIGINT NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    field TEXT NOT NULL,
    old_value TEXT,
    new_value TEXT
);
CREATE INDEX asset_changes_by_asset ON asset_changes (asset_id, id);
CREATE INDEX asset_changes_by_time ON asset_changes (at_ms);
