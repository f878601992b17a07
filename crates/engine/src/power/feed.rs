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
