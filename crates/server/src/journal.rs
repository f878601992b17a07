//! What must be known after a crash: the clones that were being made.

use std::path::{Path, PathBuf};

use replix::clone::CloneSpec;
use replix::store::{Local, create_private_dir, write_new};
use replix::{Error, Kind, Result};
use replix_remote::wire::Operation;
use serde::{Deserialize, Serialize};

use crate::request::JobId;

/// A folder with a small file for each clone that is being made.
pub(crate) struct Journal {
    dir: PathBuf,
}

/// One clone.
#[derive(Serialize, Deserialize)]
struct Page<'a> {
    vm: std::borrow::Cow<'a, Path>,
    spec: std::borrow::Cow<'a, CloneSpec>,
    /// Microseconds since 1970 UTC.
    started_us: i64,
}

/// Removes its file when dropped: the clone is made, or all of it taken back.
pub(crate) struct Note(PathBuf);

impl Drop for Note {
    fn drop(&mut self) {
        // A file that stays is read at the next start, and found to be of no clone that is half made.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Journal {
    /// Opens the journal in `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// `Denied` where the folder is not this user's alone; what the system says.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        create_private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Notes that an operation begins, if a crash in it would leave something.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn note(&self, id: JobId, operation: &Operation) -> Result<Option<Note>> {
        let Operation::Clone { vm, spec } = operation else {
            return Ok(None);
        };
        let page = Page {
            vm: vm.into(),
            spec: std::borrow::Cow::Borrowed(spec),
            started_us: now_us(),
        };
        let text = serde_json::to_vec(&page).map_err(|error| {
            Error::new(Kind::Internal, format!("a page of the journal: {error}"))
        })?;
        let path = self.dir.join(id.to_string());
        write_new(&Local, &path, &text)?;
        Ok(Some(Note(path)))
    }
}

fn now_us() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
