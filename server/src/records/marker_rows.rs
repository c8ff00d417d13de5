//! Rows that drills write into the database of the service that is exercised, not into the records: its table is made by
//! who runs that database, as `CREATE TABLE siaga_marker (drill text, mark bigint, PRIMARY KEY (drill, mark))`.

/// Writes one row: drill and row.
pub const INSERT: &str = "INSERT INTO siaga_marker (drill, mark) VALUES ($1, $2)";
/// Gives all rows of a drill.
pub const LIST: &str = "SELECT mark FROM siaga_marker WHERE drill = $1";
