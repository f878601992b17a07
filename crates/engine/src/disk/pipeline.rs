//! Reading and writing at the same time: a thread writes what the caller has read.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Error, Kind, Result};
use crate::store::Bytes;

/// The most buffers that are filled and not yet written. One more is being filled: 5 MiB in all.
const WAITING: usize = 4;

/// A part of a buffer, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First byte in the buffer.
    pub start: usize,
    /// Number of bytes.
    pub len: usize,
    /// First byte in the file.
    pub offset: u64,
}

/// Writes to one file, on a thread of its own from the first write on.
pub struct Pipeline {
    file: Arc<dyn Bytes>,
    writer: Option<Writer>,
}

struct Load {
    buf: Vec<u8>,
    pieces: Vec<Piece>,
}

struct Writer {
    full: SyncSender<Load>,
    empty: Receiver<Vec<u8>>,
    thread: JoinHandle<Result<()>>,
    /// Buffers that were made for it.
    buffers: usize,
}

impl Pipeline {
    /// Returns one that writes to `file`.
    pub fn new(file: Arc<dyn Bytes>) -> Self {
        Self { file, writer: None }
    }

    /// Writes the pieces of `buf`, sooner or later, and returns a buffer of the same length, with any
    /// bytes in it.
    ///
    /// # Errors
    /// What an earlier write ended with.
    pub fn write(&mut self, buf: Vec<u8>, pieces: Vec<Piece>) -> Result<Vec<u8>> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(Writer::start(&self.file)?),
        };
        let len = buf.len();
        if writer.full.send(Load { buf, pieces }).is_err() {
            return match self.finish() {
                Err(error) => Err(error),
                Ok(()) => Err(ended()),
            };
        }
        if writer.buffers < WAITING {
            writer.buffers += 1;
            return Ok(vec![0; len]);
        }
        match writer.empty.recv() {
            Ok(buf) => Ok(buf),
            Err(_) => match self.finish() {
                Err(error) => Err(error),
                Ok(()) => Err(ended()),
            },
        }
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// What a write ended with.
    pub fn finish(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        drop(writer.full);
        writer.thread.join().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Who drops it unfinished has met another error, and removes the file.
        let _ = self.finish();
    }
}

impl Writer {
    fn start(file: &Arc<dyn Bytes>) -> Result<Self> {
        let (full, loads) = sync_channel(WAITING);
        let (done, empty) = channel();
        let file = Arc::clone(file);
        let thread = std::thread::Builder::new()
            .name("replix-write".into())
            .spawn(move || write_all(file.as_ref(), &loads, &done))
            .map_err(|e| Error::new(Kind::Internal, format!("cannot start a thread: {e}")))?;
        Ok(Self {
            full,
            empty,
            thread,
            buffers: 1,
        })
    }
}

fn write_all(file: &dyn Bytes, loads: &Receiver<Load>, done: &Sender<Vec<u8>>) -> Result<()> {
    for load in loads {
        for piece in &load.pieces {
            let bytes = &load.buf[piece.start..piece.start + piece.len];
            file.stream_at(bytes, piece.offset)?;
        }
        // Nobody wants the last ones back.
        let _ = done.send(load.buf);
    }
    Ok(())
}

fn ended() -> Error {
    Error::new(Kind::Internal, "the thread that writes ended unexpectedly")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::{Mem, Store};

    #[test]
    fn all_is_written_where_it_belongs() {
        let store = Mem::new();
        let file: Arc<dyn Bytes> = store.create(Path::new("/a")).unwrap().into();
        let mut pipeline = Pipeline::new(Arc::clone(&file));
        let mut buf = vec![0; 3];
        for i in 0..100u8 {
            buf.copy_from_slice(&[i, 0, i + 1]);
            let piece = |start, offset| Piece {
                start,
                len: 1,
                offset,
            };
            let offset = u64::from(i) * 2;
            buf = pipeline
                .write(buf, vec![piece(0, offset), piece(2, offset + 1)])
                .unwrap();
            assert_eq!(buf.len(), 3);
        }
        pipeline.finish().unwrap();
        let mut written = vec![0; 200];
        assert_eq!(file.read_at(&mut written, 0).unwrap(), 200);
        let expected: Vec<u8> = (0..100).flat_map(|i| [i, i + 1]).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn a_write_that_fails_is_told() {
        let store = Mem::new();
        let file: Arc<dyn Bytes> = store.create(Path::new("/a")).unwrap().into();
        store.limit_changes(Some(3));
        let mut pipeline = Pipeline::new(file);
        let piece = Piece {
            start: 0,
            len: 1,
            offset: 0,
        };
        let mut buf = vec![0; 1];
        let error = loop {
            match pipeline.write(buf, vec![piece]) {
                Ok(next) => buf = next,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), Kind::Io);
    }
}
