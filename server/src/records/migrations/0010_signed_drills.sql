-- What the server signed of each drill when it ended, and again when an entry came after that: one chain over all drills.
CREATE TABLE drill_seals (
    seq BIGINT PRIMARY KEY,
    drill_id TEXT NOT NULL REFERENCES drills (id),
    statement TEXT NOT NULL,
    public_key TEXT NOT NULL,
    signature TEXT NOT NULL
);
CREATE INDEX drill_seals_of_drill ON drill_seals (drill_id, seq);

-- What was written of a drill stays as it was written, and a drill that has ended stays whole. This hinders mistakes;
-- who goes around it is found by the signatures. The syntax is SQLite's: triggers have none that databases share.
CREATE TRIGGER drill_journal_is_not_changed BEFORE UPDATE ON drill_journal
BEGIN SELECT RAISE(ABORT, 'the journal of a drill is append-only'); END;
CREATE TRIGGER drill_journal_is_not_deleted BEFORE DELETE ON drill_journal
BEGIN SELECT RAISE(ABORT, 'the journal of a drill is append-only'); END;
CREATE TRIGGER drill_seals_are_not_changed BEFORE UPDATE ON drill_seals
BEGIN SELECT RAISE(ABORT, 'seals of drills are append-only'); END;
CREATE TRIGGER drill_seals_are_not_deleted BEFORE DELETE ON drill_seals
BEGIN SELECT RAISE(ABORT, 'seals of drills are append-only'); END;
CREATE TRIGGER drill_traces_are_not_changed BEFORE UPDATE ON drill_traces
BEGIN SELECT RAISE(ABORT, 'traces of drills are append-only'); END;
CREATE TRIGGER drill_traces_are_not_deleted BEFORE DELETE ON drill_traces
BEGIN SELECT RAISE(ABORT, 'traces of drills are append-only'); END;
CREATE TRIGGER drill_traces_end_with_the_drill BEFORE INSERT ON drill_traces
WHEN (SELECT ended_at_ms FROM drills WHERE id = NEW.drill_id) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the drill has ended'); END;
CREATE TRIGGER drills_that_ended_are_not_changed BEFORE UPDATE ON drills WHEN OLD.ended_at_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the drill has ended'); END;
CREATE TRIGGER drills_are_not_deleted BEFORE DELETE ON drills
BEGIN SELECT RAISE(ABORT, 'drills are kept'); END;
