//! Where the service of a user is found: its file, and who may have written it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use replix::error::quoted;
use replix::{Error, Kind, Result};

use crate::wire::ServiceFile;

/// The variable that names the service's file, where it is not in its usual place.
pub const VARIABLE: &str = "REPLIX_SERVICE";

/// No service's file is longer.
const LIMIT_BYTES: u64 = 4096;

/// Returns the host's path of the file that tells of this user's service, whether one runs or not.
///
/// # Errors
/// `HostUnreachable` where this is no Linux machine, or, within Wine, where only a folder that
/// anybody could have made would be left.
pub fn service_file() -> Result<PathBuf> {
    let user =
        user().ok_or_else(|| unreachable("this is no machine that a Replix service runs on"))?;
    let place = of_user(&user, |name| {
        std::env::var_os(name).filter(|value| !value.is_empty())
    });
    if cfg!(windows) && place.starts_with("/tmp") && std::env::var_os(VARIABLE).is_none() {
        return Err(unreachable("XDG_RUNTIME_DIR is not set"));
    }
    Ok(place)
}

/// The rule of docs/service.md.
fn of_user(user: &str, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    const NAME: &str = "service.json";
    if let Some(file) = variable(VARIABLE) {
        return file.into();
    }
    if user == "0" {
        return Path::new("/run/replix").join(NAME);
    }
    match variable("XDG_RUNTIME_DIR") {
        // Put together as text: these are the host's paths, wherever this runs.
        Some(mut folder) => {
            folder.push("/replix/");
            folder.push(NAME);
            folder.into()
        }
        None => format!("/tmp/replix-{user}/{NAME}").into(),
    }
}

/// Returns the number of the user that this process works for, as the host's system knows it.
fn user() -> Option<String> {
    let status = fs::read_to_string(reachable("/proc/self/status".as_ref())).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // The effective one: real, effective, saved, of the file system.
    numbers.split_whitespace().nth(1).map(String::from)
}

/// Returns the path by which this process opens the host's file at `path`: itself but within Wine.
pub(crate) fn reachable(path: &Path) -> PathBuf {
    if cfg!(windows) {
        let text = path.to_string_lossy().replace('/', "\\");
        return format!("\\\\?\\unix{text}").into();
    }
    path.to_path_buf()
}

/// Reads what the service wrote; `None` where none did.
///
/// # Errors
/// `Denied` where the file may be somebody else's; `BadConfig` where it makes no sense.
pub(crate) fn read(place: &Path) -> Result<Option<ServiceFile>> {
    let path = reachable(place);
    let Ok(meta) = fs::metadata(&path) else {
        return Ok(None);
    };
    require_own(place, &meta)?;
    if meta.len() > LIMIT_BYTES {
        return Err(Error::new(
            Kind::BadConfig,
            format!("{} is too long", quoted(place)),
        ));
    }
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(file) => Ok(Some(file)),
            Err(cause) => {
                let text = format!("{} tells of no service: {cause}", quoted(place));
                Err(Error::new(Kind::BadConfig, text).at(place))
            }
        },
        // It has ended just now.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", place, error)),
    }
}

/// Fails unless the file can only have been written by this user.
#[cfg(unix)]
fn require_own(place: &Path, meta: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;

    let is_own = user().is_some_and(|user| user == meta.uid().to_string());
    if is_own && meta.mode() & 0o077 == 0 {
        return Ok(());
    }
    let text = format!("{} is not this user's alone", quoted(place));
    Err(Error::new(Kind::Denied, text).at(place))
}

/// Within Wine owners cannot be seen: `service_file` names only folders that are the user's.
#[cfg(not(unix))]
fn require_own(_place: &Path, _meta: &fs::Metadata) -> Result<()> {
    Ok(())
}

pub(crate) fn unreachable(why: impl std::fmt::Display) -> Error {
    let text = format!("the host service cannot be reached: {why}");
    Error::new(Kind::HostUnreachable, text).hint("start it: replix serve")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(user: &str, variables: &[(&str, &str)]) -> PathBuf {
        of_user(user, |name| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn file_is_where_its_user_expects_it() {
        let session = ("XDG_RUNTIME_DIR", "/run/user/7");
        assert_eq!(
            place("7", &[session]),
            Path::new("/run/user/7/replix/service.json")
        );
        assert_eq!(place("7", &[]), Path::new("/tmp/replix-7/service.json"));
        assert_eq!(
            place("0", &[session]),
            Path::new("/run/replix/service.json")
        );
        assert_eq!(place("0", &[(VARIABLE, "/x"), session]), Path::new("/x"));
    }

    #[cfg(unix)]
    #[test]
    fn file_of_everybody_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("service.json");
        assert_eq!(read(&file).unwrap(), None);
        fs::write(
            &file,
            r#"{"port": 1, "secret": "s", "instance": "i", "pid": 2}"#,
        )
        .unwrap();
        let allow = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        allow(0o644);
        assert_eq!(read(&file).unwrap_err().kind(), Kind::Denied);
        allow(0o600);
        assert_eq!(read(&file).unwrap().unwrap().port, 1);
        fs::write(&file, "{").unwrap();
        assert_eq!(read(&file).unwrap_err().kind(), Kind::BadConfig);
    }
}
