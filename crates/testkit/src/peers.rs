//! Programs that others wrote, which check what we write.

use std::path::Path;
use std::process::{Command, Output};

/// Runs a program to its end and returns what it said.
pub fn peer<I, A>(program: &str, args: I) -> Output
where
    I: IntoIterator<Item = A>,
    A: AsRef<std::ffi::OsStr>,
{
    let mut command = Command::new(program);
    command.args(args);
    command
        .output()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

/// Runs `qemu-img`, which must succeed, and returns its output.
pub fn qemu_img<I, A>(args: I) -> String
where
    I: IntoIterator<Item = A>,
    A: AsRef<std::ffi::OsStr>,
{
    succeeded(&peer("qemu-img", args))
}

/// Runs one command of `qemu-io` on the VMDK at `path`, which must succeed.
pub fn qemu_io(path: &Path, command: &str) -> String {
    let args = [
        "-f".as_ref(),
        "vmdk".as_ref(),
        "-c".as_ref(),
        command.as_ref(),
        path.as_os_str(),
    ];
    let output = succeeded(&peer("qemu-io", args));
    assert!(!output.contains("failed"), "qemu-io {command}: {output}");
    output
}

/// Tells whether `qemu-io` writes to the VMDK at `path`, zeros to its first sector.
pub fn is_written_by_qemu(path: &Path) -> bool {
    let args = ["-f", "vmdk", "-c", "write -z 0 512"].map(AsRef::as_ref);
    let output = peer("qemu-io", args.into_iter().chain([path.as_os_str()]));
    output.status.success()
}

/// Returns the bytes that `qemu-img` reads of `image`, named in any way that it knows; `None` where it
/// does not open it.
pub fn read_by_qemu(image: &str) -> Option<Vec<u8>> {
    let dir = crate::folder();
    let raw = dir.path().join("raw");
    let args = ["convert", "-O", "raw", image].map(AsRef::as_ref);
    let output = peer("qemu-img", args.into_iter().chain([raw.as_os_str()]));
    let bytes = || std::fs::read(&raw).unwrap_or_else(|error| panic!("{}: {error}", raw.display()));
    output.status.success().then(bytes)
}

/// Tells whether `qemu-img` reads the same bytes from two VMDKs, parents included.
pub fn same_content(a: &Path, b: &Path) -> bool {
    let args = [
        "compare".as_ref(),
        "-U".as_ref(),
        "-f".as_ref(),
        "vmdk".as_ref(),
        "-F".as_ref(),
    ];
    let paths = ["vmdk".as_ref(), a.as_os_str(), b.as_os_str()];
    let output = peer("qemu-img", args.into_iter().chain(paths));
    match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => panic!("qemu-img compare {a:?} {b:?}: {}", said(&output)),
    }
}

pub(crate) fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
