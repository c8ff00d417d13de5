-- What the planner writes into the periodic report: one text for a period (`2026-11`) and a section.
CREATE TABLE capacity_report_texts (
    period TEXT NOT NULL,
    section TEXT NOT NULL,
    text TEXT NOT NULL,
    written_at_ms BIGINT NOT NULL,
    written_by TEXT NOT NULL,
    PRIMARY KEY (period, section)
);
