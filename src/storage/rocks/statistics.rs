//! What RocksDB has counted since it was opened.

use std::time::Duration;

use rocksdb::Options;
use rocksdb::statistics::StatsLevel;

/// RocksDB's counters, since the directory was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RocksCounts {
    /// Blocks of table files that were in memory when they were wanted.
    pub block_cache_hits: u64,
    /// Blocks that had to be read from files.
    pub block_cache_misses: u64,
    /// Look-ups and scans of a table file that its filter spared.
    pub filtered: u64,
    /// Writes held up, since flushes or merges were behind.
    pub stalled: Duration,
    /// Bytes written out of memory into table files.
    pub flushed_bytes: u64,
    /// Bytes that merges have read.
    pub merged_from_bytes: u64,
    /// Bytes that they have written.
    pub merged_into_bytes: u64,
    /// Bytes written to logs.
    pub log_bytes: u64,
    /// Syncs of logs.
    pub log_syncs: u64,
}

/// Has what is opened with these options counted, without times. Distributions are counted too: RocksDB's level without them has no name
/// in the binding, whose levels are one behind.
pub(super) fn begin(options: &mut Options) {
    options.enable_statistics();
    options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
}

/// What has been counted of what was opened with these options.
pub(super) fn read(options: &Options) -> RocksCounts {
    // By name: the binding's numbers are those of the RocksDB that it was written for.
    let text = options.get_statistics().unwrap_or_default();
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" COUNT : "));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    RocksCounts {
        block_cache_hits: count("rocksdb.block.cache.hit"),
        block_cache_misses: count("rocksdb.block.cache.miss"),
        filtered: count("rocksdb.bloom.filter.useful") + count("rocksdb.bloom.filter.prefix.useful"),
        stalled: Duration::from_micros(count("rocksdb.stall.micros")),
        flushed_bytes: count("rocksdb.flush.write.bytes"),
        merged_from_bytes: count("rocksdb.compact.read.bytes"),
        merged_into_bytes: count("rocksdb.compact.write.bytes"),
        log_bytes: count("rocksdb.wal.bytes"),
        log_syncs: count("rocksdb.wal.synced"),
    }
}
