//! The threads that sort chunks and write them as runs.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::sort::Chunk;
use crate::storage::error::StorageError;

/// The threads that sort chunks and write them as runs, one for each direction.
pub(super) struct Sorters {
    pub(super) jobs: [SyncSender<Job>; 2],
    pub(super) done: Receiver<Result<(usize, Chunk), StorageError>>,
    pub(super) under_way: VecDeque<UnderWay>,
    /// Emptied chunks that wait for their pair, and pairs.
    pub(super) chunks: Vec<Chunk>,
    pub(super) spare: Vec<[Chunk; 2]>,
    threads: Vec<JoinHandle<()>>,
}

pub(super) struct Job {
    pub(super) number: usize,
    pub(super) path: PathBuf,
    pub(super) chunk: Chunk,
}

pub(super) struct UnderWay {
    pub(super) number: usize,
    pub(super) done: usize,
    pub(super) tuples: u64,
    pub(super) position: String,
    pub(super) files: [String; 2],
}

impl Sorters {
    pub(super) fn start() -> Result<Sorters, StorageError> {
        let (report, done) = channel();
        let mut threads = Vec::new();
        let mut start = || {
            let (jobs, queue) = sync_channel(1);
            let report = report.clone();
            let thread = std::thread::Builder::new()
                .name("sorter".to_owned())
                .spawn(move || sort_chunks(&queue, &report))
                .map_err(|error| StorageError::Io(format!("cannot start a sorting thread: {error}")))?;
            threads.push(thread);
            Ok::<_, StorageError>(jobs)
        };
        let jobs = [start()?, start()?];
        Ok(Sorters { jobs, done, under_way: VecDeque::new(), chunks: Vec::new(), spare: Vec::new(), threads })
    }
}

impl Drop for Sorters {
    fn drop(&mut self) {
        // Without a sender they end.
        self.jobs = [sync_channel(0).0, sync_channel(0).0];
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn sort_chunks(queue: &Receiver<Job>, report: &Sender<Result<(usize, Chunk), StorageError>>) {
    while let Ok(Job { number, path, mut chunk }) = queue.recv() {
        chunk.sort();
        let written = chunk.write_run(&path);
        chunk.clear();
        if report.send(written.map(|()| (number, chunk))).is_err() {
            return;
        }
    }
}
