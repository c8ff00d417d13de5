//! Runs the collectors on a thread of their own, one after the other, and goes on without one that hangs.
//!
//! A read from the kernel may never return: a dead network mount, a broken driver. The collection waits for each
//! collector no longer than the deadline; then the thread is left to itself with that collector, a new thread takes
//! the others, and the one that hangs is not asked again before it comes back.
//!
//! Invariants: a collector is in one place only, idle here or with one thread; what it found is taken up only in the
//! round for which it was asked; there are never more threads than collectors that hang, and one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{CollectError, Collector, round_to_micro};
use crate::samples::{Output, Recorder};
use crate::source::Source;

/// Stack of the thread. Collectors keep small buffers on it.
const STACK_BYTES: usize = 256 * 1024;

struct Job {
    place: usize,
    collector: Box<dyn Collector>,
    output: Output,
}

struct Finished {
    job: Job,
    round: u64,
    result: Result<(), CollectError>,
    took: Duration,
}

#[derive(Default)]
struct Board {
    waiting: VecDeque<Job>,
    finished: Vec<Finished>,
    running_since: Option<Instant>,
    /// Number of the thread in charge, 0 for none; another one ends as soon as it comes back.
    worker: u64,
    round: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    work: Condvar,
    done: Notify,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, root: &Path, number: u64) {
        let (mut source, mut round) = (Source::new(root), 0);
        while let Some((mut job, now)) = self.next_job(number) {
            if now != round {
                source.begin();
                round = now;
            }
            job.output.clear();
            let started = Instant::now();
            let result = job.collector.collect(&mut source, &mut job.output);
            let took = started.elapsed();
            let mut board = self.board();
            board.finished.push(Finished { job, round, result, took });
            if board.worker != number {
                return;
            }
            board.running_since = None;
            if board.waiting.is_empty() {
                self.done.notify_one();
            }
        }
    }

    fn next_job(&self, number: u64) -> Option<(Job, u64)> {
        let mut board = self.board();
        loop {
            if board.closed || board.worker != number {
                return None;
            }
            if let Some(job) = board.waiting.pop_front() {
                board.running_since = Some(Instant::now());
                return Some((job, board.round));
            }
            board = self.work.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Entry {
    name: &'static str,
    /// Absent while a thread has it.
    idle: Option<(Box<dyn Collector>, Output)>,
    outcome: Option<(Result<(), CollectError>, Duration)>,
    failing: bool,
}

/// Collectors with their thread.
pub struct Runner {
    shared: Arc<Shared>,
    entries: Vec<Entry>,
    root: PathBuf,
    deadline: Duration,
    workers: u64,
}

impl Runner {
    /// These collectors, which read below `root`; none may take longer than `deadline`.
    #[must_use]
    pub fn new(
        collectors: impl IntoIterator<Item = (&'static str, Box<dyn Collector>)>,
        root: &Path,
        deadline: Duration,
    ) -> Self {
        let entry = |(name, collector)| Entry {
            name,
            idle: Some((collector, Output::default())),
            outcome: None,
            failing: false,
        };
        let entries = collectors.into_iter().map(entry).collect();
        Self { shared: Arc::default(), entries, root: root.into(), deadline, workers: 0 }
    }

    /// One collection. A collector that fails or hangs costs only its own series.
    pub async fn collect(&mut self, out: &mut Recorder) {
        self.hand_out();
        self.wait().await;
        let round = self.shared.board().round;
        self.take_back(Some(round));
        out.begin();
        for entry in &mut self.entries {
            let outcome = entry.outcome.take();
            let took = outcome.as_ref().map_or(self.deadline, |(_, took)| *took);
            let result =
                outcome.map_or_else(|| Err(CollectError::Hangs(self.deadline)), |(result, _)| result);
            if let Some((_, output)) = &entry.idle
                && !matches!(result, Err(CollectError::Hangs(_)))
            {
                out.take_up(output);
            }
            let labels = [("collector", entry.name)];
            out.gauge("node_scrape_collector_duration_seconds", &labels, round_to_micro(took));
            out.gauge("node_scrape_collector_success", &labels, f64::from(u8::from(result.is_ok())));
            entry.note(&result);
        }
        out.end();
    }

    fn hand_out(&mut self) {
        // Those that hung and came back since.
        self.take_back(None);
        let shared = Arc::clone(&self.shared);
        let mut board = shared.board();
        board.round += 1;
        for (place, entry) in self.entries.iter_mut().enumerate() {
            if let Some((collector, output)) = entry.idle.take() {
                board.waiting.push_back(Job { place, collector, output });
            }
        }
        self.employ(&mut board);
        shared.work.notify_one();
    }

    /// Makes sure that a thread is in charge of what waits.
    fn employ(&mut self, board: &mut Board) {
        if board.worker != 0 || board.waiting.is_empty() {
            return;
        }
        self.workers += 1;
        let (shared, root, number) = (Arc::clone(&self.shared), self.root.clone(), self.workers);
        let thread = std::thread::Builder::new().name("siaga-collect".into()).stack_size(STACK_BYTES);
        match thread.spawn(move || shared.work(&root, number)) {
            Ok(_) => board.worker = number,
            Err(error) => {
                tracing::error!(error = crate::error_chain(&error), "no thread for the collectors");
                let round = board.round;
                for job in std::mem::take(&mut board.waiting) {
                    let source = std::io::Error::new(error.kind(), error.to_string());
                    let result = Err(CollectError::System { operation: "start a thread", source });
                    board.finished.push(Finished { job, round, result, took: Duration::ZERO });
                }
            }
        }
    }

    async fn wait(&mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let rest = {
                let mut board = shared.board();
                match board.running_since {
                    None if board.waiting.is_empty() => return,
                    None => self.deadline,
                    Some(since) => match self.deadline.checked_sub(since.elapsed()) {
                        Some(rest) if !rest.is_zero() => rest,
                        _ => {
                            board.worker = 0;
                            board.running_since = None;
                            self.employ(&mut board);
                            self.deadline
                        }
                    },
                }
            };
            // Whether it was woken or the time is over, the board says what is so.
            drop(tokio::time::timeout(rest, shared.done.notified()).await);
        }
    }

    /// Takes back what threads have finished; what was found counts only if it is of the round.
    fn take_back(&mut self, round: Option<u64>) {
        for finished in std::mem::take(&mut self.shared.board().finished) {
            let Some(entry) = self.entries.get_mut(finished.job.place) else { continue };
            entry.idle = Some((finished.job.collector, finished.job.output));
            if round == Some(finished.round) {
                entry.outcome = Some((finished.result, finished.took));
            }
        }
    }
}

impl Entry {
    fn note(&mut self, result: &Result<(), CollectError>) {
        match (result, self.failing) {
            (Err(error), false) => {
                tracing::warn!(collector = self.name, error = crate::error_chain(error), "collector fails");
            }
            (Ok(()), true) => tracing::info!(collector = self.name, "collector works again"),
            _ => {}
        }
        self.failing = result.is_err();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.board().closed = true;
        self.shared.work.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Records its series, and waits in between where it has a gate.
    struct Fake(&'static str, Option<Receiver<()>>);

    impl Collector for Fake {
        fn collect(&mut self, _: &mut Source, out: &mut Output) -> Result<(), CollectError> {
            if let Some(gate) = &self.1 {
                // An error means that the gate is open for good.
                let _ = gate.recv();
            }
            out.gauge(self.0, &[], 1.0);
            Ok(())
        }
    }

    fn families(recorder: &Recorder) -> Vec<String> {
        let text = recorder.to_text();
        let own = text.lines().filter(|line| !line.starts_with('#') && !line.contains("duration"));
        own.filter(|line| line.ends_with(" 1") && !line.contains("NaN")).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_collector_that_hangs_stops_no_other_and_is_asked_again_when_it_is_back() {
        let ((first_gate, first), (second_gate, second)) = (channel(), channel());
        let collectors: Vec<(&'static str, Box<dyn Collector>)> = vec![
            ("a", Box::new(Fake("a", None))),
            ("dead", Box::new(Fake("dead", Some(first)))),
            ("b", Box::new(Fake("b", None))),
            ("dead2", Box::new(Fake("dead2", Some(second)))),
            ("c", Box::new(Fake("c", None))),
        ];
        let mut runner = Runner::new(collectors, Path::new("/"), Duration::from_millis(500));
        let mut recorder = Recorder::default();
        let success = |name| format!("node_scrape_collector_success{{collector=\"{name}\"}} 1");
        let alive = ["a 1".into(), "b 1".into(), "c 1".into(), success("a"), success("b"), success("c")];
        for _ in 0..3 {
            runner.collect(&mut recorder).await;
            assert_eq!(families(&recorder), alive);
        }
        // One worker for all rounds, and one for each that hangs.
        assert_eq!(runner.workers, 3);
        drop((first_gate, second_gate));
        let mut rounds = 0;
        while families(&recorder).len() < 10 {
            runner.collect(&mut recorder).await;
            rounds += 1;
            assert!(rounds < 1_000, "it never came back: {:?}", families(&recorder));
            tokio::task::yield_now().await;
        }
        assert_eq!(runner.workers, 3);
    }
}
