//! What must be known after a crash: the clones that were being made.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use replix::clone::{Unfinished, clear_unfinished};
use replix::error::quoted;
use replix::store::{Local, create_private_dir, read_small, write_new};
use replix::vm::Settings;
use replix::{Error, Kind, Result};
use replix_remote::wire::Operation;

use crate::request::JobId;

/// No page is larger: what it holds came in the body of a request.
const MOST_PAGE: u64 = 2 << 20;

/// A folder with a page, a small file, for each clone that is being made.
pub(crate) struct Journal {
    dir: PathBuf,
}

/// Takes its page out when dropped: the clone is made, or all of it taken back.
pub(crate) struct Page(PathBuf);

impl Drop for Page {
    fn drop(&mut self) {
        // One that stays is read at the next start, and found to be of no clone that is half made.
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
    pub(crate) fn note(&self, id: JobId, operation: &Operation) -> Result<Option<Page>> {
        let Operation::Clone { vm, spec } = operation else {
            return Ok(None);
        };
        let clone = Unfinished {
            vm: vm.clone(),
            spec: spec.clone(),
            started_us: now_us(),
        };
        let unwritten =
            |error| Error::new(Kind::Internal, format!("a page of the journal: {error}"));
        let text = serde_json::to_vec(&clone).map_err(unwritten)?;
        let page = self.dir.join(id.to_string());
        write_new(&Local, &page, &text)?;
        Ok(Some(Page(page)))
    }

    /// Takes back what the last run of the service left half made, and tells of it.
    ///
    /// # Errors
    /// What the system says of the folder.
    pub(crate) fn clear(&self, settings: &Settings, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let failed = |error| Error::io("list", &self.dir, error);
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            clear(&entry.map_err(failed)?.path(), settings, tell);
        }
        Ok(())
    }
}

fn clear(page: &Path, settings: &Settings, tell: &mut dyn FnMut(&str)) {
    if let Some(clone) = read(page) {
        let destination = quoted(&clone.spec.destination);
        match clear_unfinished(settings, &clone) {
            Ok(true) => tell(&format!("took back the unfinished clone {destination}")),
            Ok(false) => {}
            Err(error) => {
                tell(&format!(
                    "cannot take back the unfinished clone {destination}: {error}"
                ));
                // Another process works on the parent: the next start has better luck.
                if error.kind() == Kind::FileLocked {
                    return;
                }
            }
        }
    }
    // One that cannot be read was not whole when the service ended: nothing had begun.
    let _ = std::fs::remove_file(page);
}

fn read(page: &Path) -> Option<Unfinished> {
    let bytes = read_small(&Local, page, MOST_PAGE).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}
