//! How clients find the library: installed below `/usr`, for one process and its children.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use replix_testkit::User;

/// Lays what is in the prefix `$1` over `/usr`, as if installed there, empties `/run`, where root's
/// running VMs are known, and becomes the command that follows.
const INSTALLED: &str = r#"
    mount -t tmpfs tmpfs /run || exit
    for part in lib include; do
        mount -t overlay overlay -o "lowerdir=$1/$part:/usr/$part" "/usr/$part" || exit
    done
    shift && exec "$@""#;

/// A program of the user's that finds what is in `prefix` below `/usr`, and no VM running: in a
/// mount namespace of its own, so that nothing is installed on the machine.
pub fn with_installed(user: &User, prefix: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        command.arg("--map-root-user");
    }
    command
        .args(["sh", "-c", INSTALLED, "sh"])
        .arg(prefix)
        .arg(program);
    user.surround(&mut command);
    command
}

/// The sources of the clients.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Checks that a client ended well and said so.
pub fn assert_done(output: &Output) {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(said.contains("done"), "{said}");
}
