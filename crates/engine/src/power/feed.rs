//! A saved memory on its way to the machine that goes on with it.
//!
//! It is read ahead, from before that machine can take anything: a machine that waits for the next
//! piece sleeps, and takes half as long again (docs/benchmarks.md).

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use super::pages;
use super::saved::{HEAD, Saved, internal};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::store::Access;
use crate::vm::Env;

/// The size of a piece, or a page more: small enough to be in the processor's cache still when it is sent.
const PIECE: usize = 256 << 10;

/// So many pieces are read ahead.
const AHEAD: usize = 8;

/// A saved memory that is being read.
pub(super) struct Feed {
    path: PathBuf,
    pieces: Receiver<Vec<u8>>,
    /// Where pieces go back to that were sent: memory that was never used before is slow.
    back: Sender<Vec<u8>>,
    reader: JoinHandle<Result<()>>,
}

impl Feed {
    /// Begins to read one.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn of(env: &Env, saved: &Saved) -> Result<Self> {
        let open = |path: &Path| env.store.open(path, Access::Read);
        let state = open(&saved.path)?;
        let memory = saved.ram().map(|path| open(&path)).transpose()?;
        let (to, pieces) = sync_channel(AHEAD);
        let (back, spare) = channel();
        let read = move || {
            let mut pieces = Pieces {
                to,
                spare,
                piece: Vec::new(),
            };
            pages::join(&*state, HEAD as u64, memory.as_deref(), &mut pieces)
        };
        let reader = thread::Builder::new().name("replix-feed".into());
        let failed = |error| Error::io("read", &saved.path, error);
        Ok(Self {
            path: saved.path.clone(),
            pieces,
            back,
            reader: reader.spawn(read).map_err(failed)?,
        })
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// `SnapshotBroken` where it is damaged; `Cancelled`; what the system says.
    pub(super) fn send(self, output: &mut impl Write, job: &Job) -> Result<()> {
        for piece in self.pieces {
            job.check()?;
            let sent = output.write_all(&piece);
            sent.map_err(|error| Error::io("write to", Path::new("QEMU"), error))?;
            // The reader may have come to its end.
            let _ = self.back.send(piece);
        }
        let read = self
            .reader
            .join()
            .unwrap_or_else(|_| Err(internal("a panic")));
        read.map_err(|error| error.at(&self.path))
    }
}

/// Takes what is read, until nobody wants it.
struct Pieces {
    to: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut next = self.spare.try_recv().unwrap_or_default();
        next.clear();
        let piece = std::mem::replace(&mut self.piece, next);
        self.to
            .send(piece)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::saved::{suspended_memory, write_sample};
    use super::*;
    use crate::error::Kind;
    use crate::store::{Mem, Store, write_new};
    use crate::vm::Settings;

    const STATE: &str = "/v/a-1.replixstate";

    /// A VM that is suspended to `stream`, all in one file.
    fn suspended(stream: &[u8]) -> (Env, Saved) {
        let store = Mem::new();
        store.create_dir(Path::new("/v")).unwrap();
        let config = b"checkpoint.vmState = \"a-1.replixstate\"\n";
        write_new(&store, Path::new("/v/a.vmx"), config).unwrap();
        let env = Env {
            store: Arc::new(store),
            settings: Settings::default(),
        };
        let vm = env.open(Path::new("/v/a.vmx")).unwrap();
        write_sample(&env, &vm, Path::new(STATE)).unwrap();
        let file = env.store.open(Path::new(STATE), Access::Write).unwrap();
        pages::keep(stream, &*file, HEAD as u64).unwrap();
        let saved = suspended_memory(&env, &vm).unwrap().unwrap();
        (env, saved)
    }

    #[test]
    fn all_of_a_memory_is_sent_in_order() {
        // More than is read ahead, and no whole number of pieces.
        let stream: Vec<u8> = (0..5_000_003_u32).map(|n| (n / 7) as u8).collect();
        let (env, saved) = suspended(&stream);
        let mut sent = Vec::new();
        let feed = Feed::of(&env, &saved).unwrap();
        feed.send(&mut sent, &Job::new()).unwrap();
        assert!(sent == stream);
    }

    #[test]
    fn damage_is_told_with_the_file_and_a_cancelled_job_ends_it() {
        let (env, saved) = suspended(&vec![1; 4 << 20]);
        let job = Job::new();
        job.cancel();
        let cancelled = Feed::of(&env, &saved).unwrap().send(&mut Vec::new(), &job);
        assert_eq!(cancelled.unwrap_err().kind(), Kind::Cancelled);
        let file = env.store.open(Path::new(STATE), Access::Write).unwrap();
        file.set_len(file.len().unwrap() - 1).unwrap();
        let feed = Feed::of(&env, &saved).unwrap();
        let error = feed.send(&mut Vec::new(), &Job::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::SnapshotBroken);
        assert_eq!(error.path(), Some(Path::new(STATE)));
    }
}
