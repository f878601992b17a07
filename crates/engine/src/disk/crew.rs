//! Reading and writing over several cores: workers that each read a stretch, look for zeros in it, and write
//! it.
//!
//! Who reads a stretch also writes it, so that its bytes stay in one core's cache. Places are given in the
//! order of the guest's addresses: each worker waits for its turn, then all write at once.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::chain::Chain;
use super::sparse_file::Writer;
use super::window::{GRAIN, Group, Plan, Window};
use crate::error::{Error, Kind, Result};
use crate::store::Bytes;

/// How many workers there are, each with one window: the disk is kept busy while one of them computes.
const WORKERS: usize = 2;

/// A file that is being filled, and who is next to give its grains a place.
pub struct Site {
    /// The file.
    pub file: Arc<dyn Bytes>,
    /// Length of what is filled, in bytes.
    len: u64,
    turns: Mutex<Turns>,
    changed: Condvar,
}

struct Turns {
    /// The tables of a sparse file.
    tables: Option<Writer>,
    /// Number of the stretch whose turn it is.
    next: u64,
    written: u64,
    /// A worker has failed: nothing more is given a place.
    has_failed: bool,
    /// With this, which is told once.
    error: Option<Error>,
}

/// A part of a window, and where it goes.
struct Piece {
    start: usize,
    len: usize,
    offset: u64,
}

impl Site {
    /// Returns one for `len` bytes of data.
    pub fn new(file: Arc<dyn Bytes>, len: u64, tables: Option<Writer>) -> Self {
        Self {
            file,
            len,
            turns: Mutex::new(Turns {
                tables,
                next: 0,
                written: 0,
                has_failed: false,
                error: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Does something with the tables, where there are any.
    pub fn with_tables<T>(&self, work: impl FnOnce(Option<&mut Writer>) -> T) -> T {
        work(self.turns().tables.as_mut())
    }

    /// Returns the bytes that were given a place by workers.
    pub fn written(&self) -> u64 {
        self.turns().written
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of a stretch, or until a worker has failed.
    fn wait(&self, turn: u64) -> MutexGuard<'_, Turns> {
        let mut turns = self.turns();
        while turns.next != turn && !turns.has_failed {
            turns = self
                .changed
                .wait(turns)
                .unwrap_or_else(PoisonError::into_inner);
        }
        turns
    }

    /// Gives the groups of a stretch their places, when it is its turn; none where a worker has failed.
    fn place(&self, turn: u64, groups: &[Group]) -> Result<Vec<Piece>> {
        let mut turns = self.wait(turn);
        if turns.has_failed {
            return Ok(Vec::new());
        }
        let mut pieces = Vec::with_capacity(groups.len());
        for group in groups {
            let start = group.first * GRAIN as u64;
            let (len, offset) = match &mut turns.tables {
                Some(tables) => {
                    let offset = tables.next_offset();
                    tables.enter(group.first, (group.len / GRAIN) as u64)?;
                    (group.len, offset)
                }
                // The last grain may reach past the end, which a flat extent does not.
                None => ((self.len - start).min(group.len as u64) as usize, start),
            };
            turns.written += len as u64;
            pieces.push(Piece {
                start: group.start,
                len,
                offset,
            });
        }
        turns.next += 1;
        self.changed.notify_all();
        Ok(pieces)
    }

    /// Reads a stretch, gives it its place, and writes it.
    fn work(&self, chain: &Chain, turn: u64, plan: &Plan, window: &mut Window) -> Result<()> {
        let groups = window.read(chain, plan)?;
        for piece in self.place(turn, &groups)? {
            let bytes = &window.bytes()[piece.start..piece.start + piece.len];
            self.file.stream_at(bytes, piece.offset)?;
        }
        Ok(())
    }

    fn fail(&self, error: Error) {
        let mut turns = self.turns();
        turns.has_failed = true;
        turns.error.get_or_insert(error);
        self.changed.notify_all();
    }
}

/// Tells the others when its worker ends in a panic: nobody is to wait for it.
struct Alarm<'a>(&'a Site);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(ended());
        }
    }
}

/// The workers that fill a site; they come with the second stretch.
pub struct Crew<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    chain: &'env Chain,
    site: Arc<Site>,
    /// Number of the next stretch.
    next: u64,
    plans: Option<SyncSender<(u64, Plan)>>,
    workers: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope, 'env> Crew<'scope, 'env> {
    /// Returns a crew without workers.
    pub fn new(scope: &'scope Scope<'scope, 'env>, chain: &'env Chain, site: Arc<Site>) -> Self {
        let next = site.turns().next;
        Self {
            scope,
            chain,
            site,
            next,
            plans: None,
            workers: Vec::new(),
        }
    }

    /// Hands over a stretch; waits while all workers are busy.
    ///
    /// # Errors
    /// What a worker met.
    pub fn give(&mut self, plan: Plan) -> Result<()> {
        let turn = self.next;
        self.next += 1;
        if self.plans.is_none() {
            self.plans = Some(self.hire()?);
        }
        let sent = self.plans.as_ref().map(|plans| plans.send((turn, plan)));
        match sent {
            Some(Ok(())) => Ok(()),
            // Workers leave only when they fail.
            _ => Err(self.site.turns().error.take().unwrap_or_else(ended)),
        }
    }

    fn hire(&mut self) -> Result<SyncSender<(u64, Plan)>> {
        let (send, receive) = sync_channel(1);
        let receive = Arc::new(Mutex::new(receive));
        for _ in 0..WORKERS {
            let (chain, site) = (self.chain, Arc::clone(&self.site));
            let receive = Arc::clone(&receive);
            let worker = std::thread::Builder::new()
                .name("replix-copy".into())
                .spawn_scoped(self.scope, move || toil(chain, &site, &receive))
                .map_err(|e| Error::new(Kind::Internal, format!("cannot start a thread: {e}")))?;
            self.workers.push(worker);
        }
        Ok(send)
    }

    /// Waits until all stretches have their places.
    ///
    /// # Errors
    /// What a worker met.
    pub fn wait_for_places(&self) -> Result<()> {
        let mut turns = self.site.wait(self.next);
        match turns.has_failed {
            true => Err(turns.error.take().unwrap_or_else(ended)),
            false => Ok(()),
        }
    }

    /// Does the last stretch, and waits until all is written.
    ///
    /// # Errors
    /// What a worker met.
    pub fn finish(mut self, last: Plan) -> Result<()> {
        if self.plans.is_none() {
            if last.is_empty() {
                return Ok(());
            }
            let turn = self.next;
            return self.site.work(self.chain, turn, &last, &mut Window::new());
        }
        if !last.is_empty() {
            self.give(last)?;
        }
        self.plans = None;
        for worker in self.workers.drain(..) {
            worker.join().map_err(|_| ended())?;
        }
        self.wait_for_places()
    }
}

fn toil(chain: &Chain, site: &Site, plans: &Mutex<Receiver<(u64, Plan)>>) {
    let _alarm = Alarm(site);
    let mut window = Window::new();
    loop {
        let next = plans.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((turn, plan)) = next else { return };
        if let Err(error) = site.work(chain, turn, &plan, &mut window) {
            return site.fail(error);
        }
    }
}

fn ended() -> Error {
    Error::new(Kind::Internal, "a thread that copies ended unexpectedly")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::testing::{LinkSpec, Sample};
    use crate::store::Store;

    /// A disk of 32 MiB, every other grain of which has data, and a chain on it.
    fn sample() -> Sample {
        Sample::new(&[LinkSpec {
            cut: vec![65536],
            grain: 128,
            grains: (0..256).map(|i| (i * 256, Some(i as u8 | 1))).collect(),
        }])
    }

    /// Fills a new file from a chain, in many small stretches.
    fn fill(sample: &Sample, chain: &Chain, end: u64) -> Result<Arc<dyn Bytes>> {
        let file: Arc<dyn Bytes> = sample.store.create(Path::new("/vm/new"))?.into();
        let site = Arc::new(Site::new(Arc::clone(&file), end * 512, None));
        std::thread::scope(|scope| {
            let mut crew = Crew::new(scope, chain, site);
            for run in chain.runs(0, end) {
                let run = run?;
                let mut plan = Plan::default();
                plan.add(&run, 0, run.sector, run.sectors);
                crew.give(plan)?;
                crew.wait_for_places()?;
            }
            crew.finish(Plan::default())
        })?;
        Ok(file)
    }

    #[test]
    fn all_is_written_where_it_belongs() {
        let sample = sample();
        let chain = sample.open(&sample.top);
        let file = fill(&sample, &chain, 65536).unwrap();
        let mut bytes = vec![0; sample.content.len()];
        let got = file.read_at(&mut bytes, 0).unwrap();
        assert!(bytes[..got] == sample.content[..got]);
        assert!(sample.content[got..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_write_that_fails_ends_all_and_is_told() {
        for left in [1, 2, 9] {
            let sample = sample();
            let chain = sample.open(&sample.top);
            sample.store.limit_changes(Some(left));
            let error = fill(&sample, &chain, 65536).map(drop).unwrap_err();
            assert_eq!(error.kind(), Kind::Io, "{error}");
        }
    }

    #[test]
    fn a_source_that_ends_early_is_told() {
        let sample = sample();
        let chain = sample.open(&sample.top);
        let extent = sample
            .store
            .open(Path::new("/vm/d0-s0.vmdk"), crate::store::Access::Write);
        extent.unwrap().set_len(5 << 20).unwrap();
        let error = fill(&sample, &chain, 65536).map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskInvalid, "{error}");
    }
}
