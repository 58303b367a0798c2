//! The pool: who may use a worker when, and which workers are kept.
//!
//! Kept: workers that are idle, the longest idle first. Invariant: at most `count` workers at once, in use and idle together;
//! whoever waits is served in the order of coming. While a worker is idle one thread waits to end it; without one there is none.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::frame::{FRAME_BYTES_MAX, TooLarge, frame};
use super::message::Said;
use super::worker::{End, Lost, Worker};
use super::{Answers, Job, Reply, Versions, WorkerError, WorkersConfig};

/// How long a free worker is waited for, in deadlines: if all are taken by what loops, each of them is free after one.
const WAIT_FACTOR: u32 = 3;

/// The workers. Blocks: for their answers, and until one is free.
#[derive(Debug)]
pub struct Workers {
    pool: Arc<Pool>,
}

/// What was done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Renders that were asked of workers, failures included.
    pub renders: u64,
    /// Workers started.
    pub starts: u64,
    /// Workers that ended by themselves.
    pub crashes: u64,
    /// Workers ended for a deadline, or for what they said.
    pub kills: u64,
    /// Renders that wait for a free worker now.
    pub waiting: u64,
}

#[derive(Debug)]
struct Pool {
    config: WorkersConfig,
    state: Mutex<State>,
    /// A worker is free, or somebody has left the queue.
    freed: Condvar,
    /// Something changed for the thread that ends idle workers.
    rested: Condvar,
    renders: AtomicU64,
    starts: AtomicU64,
    crashes: AtomicU64,
    kills: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    idle: VecDeque<Idle>,
    in_use: usize,
    /// The tickets of those who wait, in order.
    queue: VecDeque<u64>,
    next_ticket: u64,
    /// Whether the thread that ends idle workers runs.
    watched: bool,
    closed: bool,
    versions: Option<Arc<Versions>>,
}

#[derive(Debug)]
struct Idle {
    worker: Worker,
    since: Instant,
}

/// The right to use one worker.
struct Seat<'a> {
    pool: &'a Arc<Pool>,
}

// === impl Workers ===

impl Workers {
    /// Workers of this kind. None is started before it is needed.
    pub fn new(config: WorkersConfig) -> Self {
        let pool = Pool {
            config,
            state: Mutex::default(),
            freed: Condvar::new(),
            rested: Condvar::new(),
            renders: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            crashes: AtomicU64::new(0),
            kills: AtomicU64::new(0),
        };
        Self { pool: Arc::new(pool) }
    }

    /// Has a worker render something, answering what it asks.
    pub fn render(&self, job: &Job, answers: &mut dyn Answers) -> Result<Reply, WorkerError> {
        let too_large =
            |TooLarge| WorkerError::TooLarge { what: "what is to be rendered", bytes_max: FRAME_BYTES_MAX as u64 };
        let job = frame(&Said::Render(job)).map_err(too_large)?;
        let seat = self.pool.seat()?;
        self.pool.renders.fetch_add(1, Ordering::Relaxed);
        if let Some(worker) = self.pool.warm() {
            match worker.render(&job, answers, &self.pool.config) {
                // It died of something else, perhaps long ago: that is no reason to fail.
                Err(lost) if lost.end == End::Silent => drop(self.pool.lost(lost)),
                done => return seat.end(done),
            }
        }
        let worker = self.pool.start()?;
        seat.end(worker.render(&job, answers, &self.pool.config))
    }

    /// What the renderer says of itself. Starts a worker if none was before.
    pub fn versions(&self) -> Result<Arc<Versions>, WorkerError> {
        if let Some(versions) = &self.pool.state().versions {
            return Ok(Arc::clone(versions));
        }
        let seat = self.pool.seat()?;
        // Somebody else may have been quicker while we waited.
        if let Some(versions) = &self.pool.state().versions {
            return Ok(Arc::clone(versions));
        }
        let worker = self.pool.start()?;
        let versions = Arc::clone(worker.versions());
        seat.rest(worker);
        Ok(versions)
    }

    /// What was done since the start.
    pub fn counters(&self) -> WorkerCounters {
        let pool = &self.pool;
        WorkerCounters {
            renders: pool.renders.load(Ordering::Relaxed),
            starts: pool.starts.load(Ordering::Relaxed),
            crashes: pool.crashes.load(Ordering::Relaxed),
            kills: pool.kills.load(Ordering::Relaxed),
            waiting: pool.state().queue.len() as u64,
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.closed = true;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        self.pool.rested.notify_all();
        drop(idle);
    }
}

// === impl Pool ===

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the right to use a worker, behind those who came before.
    fn seat(self: &Arc<Self>) -> Result<Seat<'_>, WorkerError> {
        let patience = self.config.deadline * WAIT_FACTOR;
        let until = Instant::now() + patience;
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.queue.push_back(ticket);
        while state.in_use >= self.config.count || state.queue.front() != Some(&ticket) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.queue.retain(|waiting| *waiting != ticket);
                drop(state);
                self.freed.notify_all();
                return Err(WorkerError::Busy { after: patience, count: self.config.count });
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.queue.pop_front();
        state.in_use += 1;
        drop(state);
        // The next one may find another free.
        self.freed.notify_all();
        Ok(Seat { pool: self })
    }

    /// An idle worker that can be asked. The one that rested least, so that those that are not needed grow old.
    fn warm(&self) -> Option<Worker> {
        loop {
            let idle = self.state().idle.pop_back()?;
            match idle.worker.ping(&self.config) {
                Ok(worker) => return Some(worker),
                Err(lost) => drop(self.lost(lost)),
            }
        }
    }

    fn start(&self) -> Result<Worker, WorkerError> {
        let worker = Worker::start(&self.config).map_err(|lost| self.lost(lost))?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        if state.versions.as_ref() != Some(worker.versions()) {
            let Versions { build, helm, kustomize, jsonnet } = &**worker.versions();
            tracing::info!(renderer = %self.config.program, build, helm, kustomize, jsonnet, "rendering with");
            state.versions = Some(Arc::clone(worker.versions()));
        }
        Ok(worker)
    }

    fn lost(&self, lost: Lost) -> WorkerError {
        let counter = match lost.end {
            End::Unborn => return lost.error,
            End::Silent | End::Crashed => &self.crashes,
            End::Killed => &self.kills,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(renderer = %self.config.program, error = %lost.error, "a worker was lost");
        lost.error
    }

    /// Ends workers that have been idle for long, until none is idle.
    fn watch(&self) {
        let mut state = self.state();
        while let Some(since) = state.idle.front().map(|idle| idle.since).filter(|_| !state.closed) {
            let left = self.config.idle.saturating_sub(since.elapsed());
            if left.is_zero() {
                let old = state.idle.pop_front();
                drop(state);
                // Ending it takes a moment, in which the others go on.
                drop(old);
                state = self.state();
            } else {
                state = self.rested.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.watched = false;
    }
}

// === impl Seat ===

impl Seat<'_> {
    /// What a render came to; the worker rests, if it is still one.
    fn end(self, done: Result<(Reply, Worker), Lost>) -> Result<Reply, WorkerError> {
        let (reply, worker) = done.map_err(|lost| self.pool.lost(lost))?;
        self.rest(worker);
        Ok(reply)
    }

    fn rest(self, worker: Worker) {
        let pool = self.pool;
        if !worker.is_usable(pool.config.renders_max) {
            return;
        }
        let mut state = pool.state();
        state.idle.push_back(Idle { worker, since: Instant::now() });
        if state.watched {
            return;
        }
        let watched = Arc::clone(pool);
        let started = thread::Builder::new().name("renderer-rest".to_owned()).spawn(move || watched.watch());
        // Without a thread it rests until it is needed, or another one begins to.
        state.watched = started.is_ok();
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.pool.state().in_use -= 1;
        self.pool.freed.notify_all();
    }
}
