//! Locks: ours, which the kernel drops with the process, and VMware's, which stand in files.
//!
//! An operation first takes the [`VmLock`] of the VM's folder, which keeps our own processes apart,
//! then [`VmwareLock`]s of the files it works on, which keep VMware's products out.

mod member;
mod vmware;

use std::path::Path;
use std::time::{Duration, Instant};

pub use member::{Holder, Life};
pub use vmware::{
    RUNNER, VmwareLock, WORKER, cure, held_by, holders, lock_folder, lock_for_process, refuse_held,
    release,
};

use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::machine::Process;
use crate::store::{Held, LockMode, Store};

/// How long an operation waits for others before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The engine's own lock of a VM's folder: readers share it, a writer is alone.
pub struct VmLock {
    /// The kernel's lock; it goes with this.
    _held: Box<dyn Held>,
}

impl VmLock {
    /// Locks `dir`, waiting for others at most `patience`.
    ///
    /// # Errors
    /// `FileLocked` naming who holds it; `Cancelled`; what the system says.
    pub fn acquire(
        store: &dyn Store,
        dir: &Path,
        mode: LockMode,
        job: &Job,
        patience: Duration,
    ) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            job.check()?;
            if let Some(held) = store.try_lock_dir(dir, mode)? {
                return Ok(Self { _held: held });
            }
            if Instant::now() >= deadline {
                return Err(busy(store, dir));
            }
            std::thread::sleep(pause.mul_f64(rand::random_range(0.5..1.0)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn busy(store: &dyn Store, dir: &Path) -> Error {
    let owner = store.lock_owner(dir).map(|pid| match Process::find(pid) {
        Some(process) => format!("{} (process {pid})", escaped(&process.program)),
        None => format!("process {pid}"),
    });
    let owner = owner.unwrap_or("another process".into());
    let text = format!("{} is in use by {owner}", quoted(dir));
    let error = Error::new(Kind::FileLocked, text).at(dir);
    error.hint("wait until that has ended, and try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Mem;

    fn lock(store: &Mem, mode: LockMode, patience: Duration) -> Result<VmLock> {
        VmLock::acquire(store, Path::new("/"), mode, &Job::new(), patience)
    }

    #[test]
    fn writer_is_alone_and_says_who_is_in_the_way() {
        let store = Mem::new();
        let reader = lock(&store, LockMode::Shared, Duration::ZERO).unwrap();
        let second = lock(&store, LockMode::Shared, Duration::ZERO).unwrap();
        let error = lock(&store, LockMode::Exclusive, Duration::ZERO)
            .err()
            .unwrap();
        assert_eq!(error.kind(), Kind::FileLocked);
        assert_eq!(error.to_string(), "\"/\" is in use by another process");
        drop((reader, second));
        assert!(lock(&store, LockMode::Exclusive, Duration::ZERO).is_ok());
    }

    #[test]
    fn waiting_ends_when_the_other_leaves() {
        let store = Mem::new();
        let held = lock(&store, LockMode::Exclusive, Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&store, LockMode::Shared, PATIENCE).is_ok());
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn waiting_can_be_cancelled() {
        let store = Mem::new();
        let _held = lock(&store, LockMode::Exclusive, Duration::ZERO).unwrap();
        let job = Job::new();
        job.cancel();
        let waited = VmLock::acquire(&store, Path::new("/"), LockMode::Shared, &job, PATIENCE);
        assert_eq!(waited.err().unwrap().kind(), Kind::Cancelled);
    }
}
