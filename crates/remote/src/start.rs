//! Starting the service on demand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::reachable;

/// The variable that names the program, where it is not in a usual place.
const VARIABLE: &str = "REPLIX_PROGRAM";

/// Where the program is installed.
const FOLDERS: &[&str] = &["/usr/local/bin", "/usr/bin"];

/// Starts the service, which then tells where it is, and goes on without this process.
///
/// Returns whether a program was found to start.
pub(crate) fn start() -> bool {
    let Some(program) = programs()
        .into_iter()
        .find(|path| reachable(path).is_file())
    else {
        return false;
    };
    let mut command = Command::new(reachable(&program));
    command
        .args(["serve", "--on-demand"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    launch(&mut command);
    true
}

/// The places where the program may be, the likeliest first.
fn programs() -> Vec<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let folders = FOLDERS.iter().map(PathBuf::from);
    named
        .into_iter()
        .chain(beside())
        .chain(home_folder())
        .chain(folders.map(|folder| folder.join("replix")))
        .map(|path| PathBuf::from(path.to_string_lossy().replace('\\', "/")))
        .collect()
}

/// On the host itself: the one that came with this program, and those that a shell would find.
#[cfg(unix)]
fn beside() -> Vec<PathBuf> {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let searched = std::env::var_os("PATH").unwrap_or_default();
    let searched = std::env::split_paths(&searched).filter(|folder| folder.is_absolute());
    own.into_iter()
        .chain(searched)
        .map(|folder| folder.join("replix"))
        .collect()
}

/// Within Wine, programs of Windows are beside, and searched for.
#[cfg(not(unix))]
fn beside() -> Vec<PathBuf> {
    Vec::new()
}

/// The program that a user has installed for themself.
fn home_folder() -> Option<PathBuf> {
    let home = match cfg!(unix) {
        true => std::env::var("HOME").ok()?,
        // Wine hides HOME, and tells the same by a name of its own.
        false => {
            let home = std::env::var("WINEHOMEDIR").ok()?;
            home.strip_prefix("\\??\\unix")?.to_string()
        }
    };
    Some(Path::new(&home).join(".local/bin/replix"))
}

#[cfg(unix)]
fn launch(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    // Its own group: a Ctrl-C in this program's terminal is not meant for it. It holds no folder.
    if let Ok(mut child) = command.current_dir("/").process_group(0).spawn() {
        // Its end is taken notice of, should it come before that of this process.
        let _ = std::thread::Builder::new().spawn(move || child.wait());
    }
}

/// Wine starts a program of the host, and then says that it could not: it has no handle for it.
#[cfg(not(unix))]
fn launch(command: &mut Command) {
    let _ = command.spawn();
}
