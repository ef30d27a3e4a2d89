//! The threads on which questions are evaluated. They yield to those of the I/O tasks: what is short, and what is turned away, is answered
//! at once also where all cores are evaluating. The classes bound how many there are (`load`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Four fifths of the weight that the scheduler gives to other threads.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 1;

type Job = Box<dyn FnOnce() + Send>;

/// The threads, as many as were ever needed at once. They end when this is dropped.
pub(super) struct Evaluators(Arc<Shared>);

struct Shared {
    idle: Mutex<Idle>,
    runtime: Handle,
}

#[derive(Default)]
struct Idle {
    /// The ways to threads that wait: the one that came last is the next to work, so that no more are at work than have to be.
    threads: Vec<Sender<Work>>,
    is_over: bool,
}

/// A job on its way to a thread, with the way to that thread itself.
struct Work {
    job: Job,
    way: Sender<Work>,
}

impl Evaluators {
    pub(super) fn new(runtime: Handle) -> Evaluators {
        Evaluators(Arc::new(Shared { idle: Mutex::default(), runtime }))
    }

    /// Runs a job on one of the threads; none: it panicked, or there is no thread to be had.
    pub(super) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        // Whoever asked may have gone.
        self.begin(move || drop(answer.send(job())));
        answered.await.ok()
    }

    /// The same, without waiting for it.
    pub(super) fn begin(&self, job: impl FnOnce() + Send + 'static) {
        let waiting = self.0.lock().threads.pop();
        let way = waiting.or_else(|| Shared::start(&self.0));
        if let Some(way) = way {
            // A thread that waits is there to receive it.
            let _ = way.send(Work { job: Box::new(job), way: way.clone() });
        }
    }
}

impl Drop for Evaluators {
    fn drop(&mut self) {
        let mut idle = self.0.lock();
        idle.is_over = true;
        idle.threads.clear();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        // Nobody panics while holding it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more thread; none: the system gives no more.
    fn start(shared: &Arc<Shared>) -> Option<Sender<Work>> {
        let (way, works) = channel::<Work>();
        let shared = Arc::clone(shared);
        let serve = move || {
            #[cfg(target_os = "linux")]
            // On Linux a thread has a niceness of its own. Without it, answers are right too.
            let _ = rustix::process::nice(NICENESS);
            let _within = shared.runtime.enter();
            // When nobody knows the way any longer, no work will come.
            while let Ok(Work { job, way }) = works.recv() {
                // A panic has been printed; whoever asked finds the channel closed.
                drop(catch_unwind(AssertUnwindSafe(job)));
                let mut idle = shared.lock();
                if !idle.is_over {
                    idle.threads.push(way);
                }
            }
        };
        let begun = std::thread::Builder::new().name("evaluator".to_owned()).spawn(serve);
        begun.is_ok().then_some(way)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn jobs_run_at_once_and_outlive_one_that_panics() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let evaluators = Arc::new(Evaluators::new(runtime.handle().clone()));
        let shared = Arc::downgrade(&evaluators.0);
        runtime.block_on(async {
            assert_eq!(evaluators.run(|| panic!("as planned")).await, None::<()>);
            // All of them have to be running for any to end.
            let running = Arc::new(AtomicUsize::new(0));
            for round in 1..=3 {
                let asked = (0..8).map(|number| {
                    let (evaluators, running) = (Arc::clone(&evaluators), Arc::clone(&running));
                    tokio::spawn(async move {
                        let job = move || {
                            running.fetch_add(1, Ordering::SeqCst);
                            while running.load(Ordering::SeqCst) < 8 * round {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            number
                        };
                        evaluators.run(job).await
                    })
                });
                for (number, asked) in asked.collect::<Vec<_>>().into_iter().enumerate() {
                    assert_eq!(asked.await.unwrap(), Some(number));
                }
            }
        });
        drop(evaluators);
        while shared.strong_count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
