//! What XFS filesystems do, from `/sys/fs/xfs/DEVICE/stats/stats`: `node_xfs_*`.

use super::{CollectError, Collector, number, value};
use crate::samples::{Kind, Output};
use crate::source::Source;

#[derive(Default)]
pub(super) struct Xfs {
    name: String,
}

const FOLDER: &str = "sys/fs/xfs";

/// First word of a line, and what its numbers are.
const LINES: [(&str, &[&str]); 8] = [
    (
        "extent_alloc",
        &[
            "extent_allocation_extents_allocated",
            "extent_allocation_blocks_allocated",
            "extent_allocation_extents_freed",
            "extent_allocation_blocks_freed",
        ],
    ),
    (
        "abt",
        &[
            "allocation_btree_lookups",
            "allocation_btree_compares",
            "allocation_btree_records_inserted",
            "allocation_btree_records_deleted",
        ],
    ),
    (
        "blk_map",
        &[
            "block_mapping_reads",
            "block_mapping_writes",
            "block_mapping_unmaps",
            "block_mapping_extent_list_insertions",
            "block_mapping_extent_list_deletions",
            "block_mapping_extent_list_lookups",
            "block_mapping_extent_list_compares",
        ],
    ),
    (
        "bmbt",
        &[
            "block_map_btree_lookups",
            "block_map_btree_compares",
            "block_map_btree_records_inserted",
            "block_map_btree_records_deleted",
        ],
    ),
    (
        "dir",
        &[
            "directory_operation_lookup",
            "directory_operation_create",
            "directory_operation_remove",
            "directory_operation_getdents",
        ],
    ),
    (
        "ig",
        &[
            "inode_operation_attempts",
            "inode_operation_found",
            "inode_operation_recycled",
            "inode_operation_missed",
            "inode_operation_duplicates",
            "inode_operation_reclaims",
            "inode_operation_attribute_changes",
        ],
    ),
    ("rw", &["write_calls", "read_calls"]),
    (
        "vnodes",
        &[
            "vnode_active",
            "vnode_allocate",
            "vnode_get",
            "vnode_hold",
            "vnode_release",
            "vnode_reclaim",
            "vnode_remove",
        ],
    ),
];

impl Collector for Xfs {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for device in source.names(FOLDER) {
            let file = format!("{FOLDER}/{device}/stats/stats");
            if !source.exists(&file) {
                continue;
            }
            for line in source.read(&file)?.lines() {
                let mut words = line.split_ascii_whitespace();
                let start = words.next().unwrap_or_default();
                let Some((_, names)) = LINES.iter().find(|(known, _)| *known == start) else { continue };
                for (name, word) in names.iter().zip(words) {
                    self.name.clear();
                    for part in ["node_xfs_", name, "_total"] {
                        self.name.push_str(part);
                    }
                    let count = value(number(Some(word)));
                    out.record(Kind::Counter, &self.name, &[("device", &device)], count);
                }
            }
        }
        Ok(())
    }
}
