//! The writes of a repair: told as steps, done in order, taken back where one fails.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::store::{Access, Bytes, Store};

/// One thing that is mended.
pub struct Step {
    /// It, in a sentence.
    pub text: String,
    /// Whether a guest sees something else afterwards.
    pub changes_content: bool,
    writes: Vec<Write>,
}

/// One change of a file.
pub struct Write {
    file: PathBuf,
    change: Change,
}

enum Change {
    /// Other bytes from this one on, as many.
    Bytes {
        offset: u64,
        old: Vec<u8>,
        new: Vec<u8>,
    },
    /// Another length.
    Length { old: u64, new: u64 },
}

impl Write {
    /// Returns the change of `old` to `new`, equally long, at byte `offset`.
    pub fn new(file: &Path, offset: u64, old: Vec<u8>, new: Vec<u8>) -> Self {
        let change = Change::Bytes { offset, old, new };
        Self {
            file: file.to_path_buf(),
            change,
        }
    }

    fn require_unchanged(&self, file: &dyn Bytes) -> Result<()> {
        let is_unchanged = match &self.change {
            Change::Bytes { offset, old, .. } => {
                let mut now = vec![0; old.len()];
                file.read_exact_at(&mut now, *offset)?;
                now == *old
            }
            Change::Length { old, .. } => file.len()? == *old,
        };
        if is_unchanged {
            return Ok(());
        }
        let text = format!("{} was changed by another program", quoted(&self.file));
        Err(Error::new(Kind::Busy, text).at(&self.file))
    }

    fn act(&self, file: &dyn Bytes) -> Result<()> {
        match &self.change {
            Change::Bytes { offset, new, .. } => file.write_at(new, *offset),
            Change::Length { new, .. } => file.set_len(*new),
        }
    }

    fn take_back(&self, file: &dyn Bytes) -> Result<()> {
        match &self.change {
            Change::Bytes { offset, old, .. } => file.write_at(old, *offset),
            // It was of no use, and nothing follows it.
            Change::Length { .. } => Ok(()),
        }
    }
}

impl Step {
    /// Returns a step after which a guest sees the same.
    pub fn harmless(text: String, writes: Vec<Write>) -> Self {
        Self {
            text,
            changes_content: false,
            writes,
        }
    }

    /// Returns a step after which a guest sees something else.
    pub fn of_content(text: String, writes: Vec<Write>) -> Self {
        Self {
            text,
            changes_content: true,
            writes,
        }
    }
}

/// Returns the step that cuts the end of a file off, which nothing tells of.
pub fn cut(file: &Path, old: u64, new: u64) -> Step {
    let text = format!(
        "{}: its last {} bytes, which are used by none, are cut off",
        quoted(file),
        old - new
    );
    let write = Write {
        file: file.to_path_buf(),
        change: Change::Length { old, new },
    };
    Step::harmless(text, vec![write])
}

/// Does all steps, durable, or none.
///
/// # Errors
/// `Busy` where a file is not what it was; `Cancelled`; what the system says.
pub fn apply(store: &dyn Store, steps: &[Step], job: &Job) -> Result<()> {
    let writes: Vec<&Write> = steps.iter().flat_map(|step| &step.writes).collect();
    let mut done = 0;
    let mut run = || {
        // Neighbours mostly are of one file, of which a disk may have more than may be open.
        for of_file in writes.chunk_by(|a, b| a.file == b.file) {
            let file = store.open(&of_file[0].file, Access::Write)?;
            for write in of_file {
                job.check()?;
                write.require_unchanged(file.as_ref())?;
                // Half a write is taken back too.
                done += 1;
                write.act(file.as_ref())?;
            }
            file.sync()?;
        }
        Ok(())
    };
    let result = run();
    if result.is_err() {
        for write in writes[..done].iter().rev() {
            // The error that brought us here matters more than this one.
            let _ = store
                .open(&write.file, Access::Write)
                .and_then(|file| write.take_back(file.as_ref()).and_then(|()| file.sync()));
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, read_small, write_new};

    #[test]
    fn all_steps_are_done_or_none() {
        let store = Mem::new();
        let [a, b] = ["/a", "/b"].map(Path::new);
        write_new(&store, a, b"0123456789").unwrap();
        write_new(&store, b, b"0123456789").unwrap();
        let step = |file: &Path, old: &[u8], new: &[u8]| {
            let write = Write::new(file, 2, old.to_vec(), new.to_vec());
            Step::harmless(String::new(), vec![write])
        };
        let steps = [step(a, b"23", b"xy"), step(b, b"zz", b"..")];
        let error = apply(&store, &steps, &Job::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        let bytes = |file: &Path| read_small(&store, file, 100).unwrap();
        assert_eq!(bytes(a), b"0123456789".as_slice());
        assert_eq!(bytes(b), b"0123456789".as_slice());
        let steps = [step(a, b"23", b"xy"), cut(a, 10, 5)];
        apply(&store, &steps, &Job::new()).unwrap();
        assert_eq!(bytes(a), b"01xy4".as_slice());
    }
}
