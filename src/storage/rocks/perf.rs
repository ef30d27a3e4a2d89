//! What RocksDB does on one thread, by its own counters.

use std::time::Duration;

use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};

use crate::storage::profile::StorageWork;

/// RocksDB's `kEnableTimeExceptForMutex`: it has a level more than the binding, which names each behind that by the one before.
const TIMES: PerfStatsLevel = PerfStatsLevel::EnableTimeAndCPUTimeExceptForMutex;

/// While it lives, RocksDB takes the time of what it does on this thread.
pub(in crate::storage) struct Perf(PerfContext);

impl Perf {
    pub(in crate::storage) fn begin() -> Perf {
        set_perf_stats(TIMES);
        let mut context = PerfContext::default();
        context.reset();
        Perf(context)
    }

    /// Since it began.
    pub(in crate::storage) fn read(&self) -> StorageWork {
        let count = |metric| self.0.metric(metric);
        // They do not overlap.
        let nanos = [
            PerfMetric::GetSnapshotTime,
            PerfMetric::GetFromMemtableTime,
            PerfMetric::GetFromOutputFilesTime,
            PerfMetric::GetPostProcessTime,
            PerfMetric::SeekInternalSeekTime,
            PerfMetric::FindNextUserEntryTime,
        ];
        StorageWork {
            time: Duration::from_nanos(nanos.into_iter().map(count).sum()),
            file_time: Duration::from_nanos(count(PerfMetric::BlockReadTime)),
            blocks_cached: count(PerfMetric::BlockCacheHitCount),
            blocks_read: count(PerfMetric::BlockReadCount),
            bytes_read: count(PerfMetric::BlockReadByte),
            filtered: count(PerfMetric::BloomSstMissCount),
            tombstones: count(PerfMetric::InternalDeleteSkippedCount),
        }
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        // Its default.
        set_perf_stats(PerfStatsLevel::EnableCount);
    }
}
