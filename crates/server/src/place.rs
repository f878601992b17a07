//! Where the service is found: its file, with port and secret, and the lock that there is one of.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix::store::{create_private_dir, folder_of, hidden_sibling};
use replix::{Error, Result};
use replix_remote::wire::ServiceFile;

/// How long a service that ends is waited for, and how often it is looked after.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// The place of a service that has it to itself.
pub(crate) struct Place {
    file: PathBuf,
    /// Locked as long as this process lives.
    _lock: File,
}

impl Place {
    /// Takes the place of this user's service, at `file`; `None` where a service runs already.
    ///
    /// # Errors
    /// `Denied` where its folder is not this user's alone; what the system says.
    pub(crate) fn take(file: PathBuf) -> Result<Option<Self>> {
        create_private_dir(folder_of(&file))?;
        let path = beside(&file, ".lock");
        let failed = |error| Error::io("lock", &path, error);
        let lock = private().create(true).open(&path).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(Self { file, _lock: lock })),
                // Without a file it is just beginning, or just ending.
                Err(TryLockError::WouldBlock) if !file.exists() && Instant::now() < deadline => {
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Returns the folder for what must be known after a crash.
    pub(crate) fn journal(&self) -> PathBuf {
        beside(&self.file, ".jobs")
    }

    /// Tells clients where the service is: they see a whole file, or the one before.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn publish(&self, content: &ServiceFile) -> Result<()> {
        let temporary = hidden_sibling(&self.file);
        let failed = |error| Error::io("write", &self.file, error);
        let text = serde_json::to_vec(content).map_err(|error| failed(error.into()))?;
        let mut file = private()
            .create_new(true)
            .open(&temporary)
            .map_err(failed)?;
        let written = file.write_all(&text);
        written
            .and_then(|()| std::fs::rename(&temporary, &self.file))
            .map_err(|error| {
                // The error that matters is on its way.
                let _ = std::fs::remove_file(&temporary);
                failed(error)
            })
    }

    /// Takes back what [`Place::publish`] told.
    pub(crate) fn withdraw(&self) {
        // A client that reads it finds nobody, and starts a service.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// How files of the service are opened: for writing, readable by their user alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The path of what belongs to the file at `path`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use replix::Kind;

    use super::*;

    fn content() -> ServiceFile {
        ServiceFile {
            port: 1,
            secret: "s".into(),
            instance: "i".into(),
            pid: 2,
        }
    }

    #[test]
    fn place_is_taken_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/service.json");
        let place = Place::take(file.clone()).unwrap().unwrap();
        place.publish(&content()).unwrap();
        assert!(Place::take(file.clone()).unwrap().is_none());
        drop(place);
        assert!(Place::take(file).unwrap().is_some());
    }

    #[test]
    fn place_that_is_being_left_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/service.json");
        let place = Place::take(file.clone()).unwrap().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Place::take(file).unwrap().is_some());
            drop(place);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn file_is_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run/service.json");
        let place = Place::take(file.clone()).unwrap().unwrap();
        place.publish(&content()).unwrap();
        let read: ServiceFile = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(read, content());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&file), mode(folder_of(&file))), (0o600, 0o700));
        place.withdraw();
        assert!(!file.exists());
    }

    #[test]
    fn folder_that_others_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let taken = Place::take(folder.path().join("service.json"));
        assert_eq!(taken.err().unwrap().kind(), Kind::Denied);
    }
}
