//! The tools that building, running and testing need: installed by apt where missing, and said.
//!
//! QEMU's packages must all come from one release. Debian's stable and its backports differ, and
//! backports' `qemu-utils` breaks stable's `qemu-system-x86`; so a machine that has any QEMU
//! package from backports gets the others from there too, for which the backports suite is added
//! to apt's sources, derived from the machine's own Debian entry.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::apt_source::Source;
use crate::run::{Doing, Result, Run, command, fail, line, say};
use crate::workspace::cargo;

/// What building the test guest needs.
pub const GUEST: &[&str] = &[
    "binutils",
    "busybox-static",
    "cpio",
    "dosfstools",
    "fdisk",
    "gzip",
    "kmod",
    "lz4",
    "mtools",
    "syslinux",
    "syslinux-common",
    "util-linux",
    "xz-utils",
];

/// What running VMs needs; `qemu-utils` brings `qemu-img`, `qemu-io` and `qemu-storage-daemon`.
pub const QEMU: &[&str] = &["ovmf", "qemu-system-x86", "qemu-utils"];

/// What virtual networks need, and tests of them in a network namespace of their own.
pub const NETWORK: &[&str] = &["dnsmasq-base", "iproute2", "nftables", "util-linux"];

/// What the tests need besides; those of the C library compile clients and run them under valgrind.
pub const TESTS: &[&str] = &[
    "btrfs-progs",
    "bzip2",
    "e2fsprogs",
    "g++",
    "gcc",
    "libc6-dev",
    "libvmdk-utils",
    "pkgconf",
    "strace",
    "valgrind",
    "xfsprogs",
];

/// What the benchmarks of disks need besides QEMU's tools.
pub const DISKS: &[&str] = &["btrfs-progs", "e2fsprogs", "time", "xfsprogs"];

/// What the clients need that others wrote in Python.
pub const CLIENTS: &[&str] = &["python3", "python3-venv", "util-linux"];

/// What builds the COM library for Windows, and runs it: any release of the compiler, which must be
/// that of its library's sources.
pub const COM: &[&str] = &[
    "g++-mingw-w64-x86-64-posix",
    "gcc-mingw-w64-x86-64",
    "rust-web-clippy",
    "rust-web-src",
    "rustc-web",
    "wine",
    "wine64",
    "wine64-tools",
];

/// Packages of QEMU's source package: always of one release.
const QEMU_FAMILY: &[&str] = &[
    "qemu-block-extra",
    "qemu-system-common",
    "qemu-system-data",
    "qemu-system-x86",
    "qemu-utils",
];

/// apt and a mirror may be busy or flaky; so many times a step is tried.
const ATTEMPTS: u32 = 3;

/// Installs the packages of `sets` that this machine lacks.
///
/// On a machine without apt it says what is needed and goes on: a missing tool is then named by the
/// step that calls it.
///
/// # Errors
/// When apt fails, or when packages are missing and this user may not install any; the commands to
/// run are named then.
pub fn install(sets: &[&[&str]]) -> Result {
    let wanted = sets.concat();
    if !command("apt-get", ["--version"]).succeeds() {
        say(format_args!(
            "this machine has no apt; needed, under Debian's names: {}",
            wanted.join(" ")
        ));
        return Ok(());
    }
    let installed = installed(&[&wanted, QEMU_FAMILY].concat())?;
    let plan = Plan::new(&wanted, &installed, &codename()?);
    if plan.is_empty() {
        return Ok(());
    }
    say(format_args!("missing packages, installing by apt: {plan}"));
    let source = match &plan.suite {
        Some(suite) => Source::missing(suite)?,
        None => None,
    };
    let Some(root) = Root::find() else {
        let by_hand = plan.by_hand(source.as_ref());
        return fail(format!("these packages need root's hand; run\n{by_hand}"));
    };
    if let Some(Source { path, text }) = source {
        say(format_args!("adding a suite to apt's sources: {path}"));
        root.command("tee", &[&path]).feed(text.as_bytes())?;
    }
    retry(|| {
        root.command("apt-get", &["update", "-q"]).quiet()?;
        for args in plan.commands() {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            root.command("apt-get", &args).quiet()?;
        }
        Ok(())
    })
}

/// Refreshes apt's package lists, for `apt-get download` on a machine that has none.
///
/// # Errors
/// When apt fails or this user may not.
pub fn refresh_lists() -> Result {
    let Some(root) = Root::find() else {
        return fail("apt's package lists are missing; run\nsudo apt-get update");
    };
    say("refreshing apt's package lists");
    retry(|| root.command("apt-get", &["update", "-q"]).quiet())
}

/// Installs cargo-nextest where it is missing.
///
/// # Errors
/// When cargo cannot build or fetch it.
pub fn install_nextest() -> Result {
    if cargo(["nextest", "--version"]).succeeds() {
        return Ok(());
    }
    say("cargo-nextest is missing, building it: cargo install --locked cargo-nextest");
    cargo(["install", "--quiet", "--locked", "cargo-nextest"])
        .env_remove("CARGO_TARGET_DIR")
        .run()
}

/// What apt is to install, and from where.
#[derive(Debug, PartialEq)]
struct Plan {
    plain: Vec<String>,
    qemu: Vec<String>,
    suite: Option<String>,
}

impl Plan {
    fn new(wanted: &[&str], installed: &BTreeMap<String, String>, codename: &str) -> Self {
        let missing = |name: &&&str| !installed.contains_key(**name);
        let is_qemu = |name: &&str| QEMU_FAMILY.contains(name);
        let (qemu, plain): (Vec<&str>, Vec<&str>) = wanted
            .iter()
            .filter(missing)
            .partition(|name| is_qemu(name));
        let backports = installed.iter().any(|(name, version)| {
            QEMU_FAMILY.contains(&name.as_str()) && version.contains("~bpo")
        });
        let mut qemu: Vec<String> = qemu.into_iter().map(String::from).collect();
        if !qemu.is_empty() {
            // Those already here are named too, so that apt may bring them in step.
            qemu.extend(
                installed
                    .keys()
                    .filter(|name| is_qemu(&name.as_str()))
                    .cloned(),
            );
        }
        Self {
            plain: plain.into_iter().map(String::from).collect(),
            suite: (backports && !qemu.is_empty()).then(|| format!("{codename}-backports")),
            qemu,
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.qemu.is_empty()
    }

    /// Returns the arguments of each `apt-get` call.
    fn commands(&self) -> Vec<Vec<String>> {
        const INSTALL: &[&str] = &[
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            "-o",
            "DPkg::Lock::Timeout=600",
        ];
        let install = || INSTALL.iter().map(ToString::to_string);
        let mut commands = Vec::new();
        if !self.plain.is_empty() {
            commands.push(install().chain(self.plain.iter().cloned()).collect());
        }
        if !self.qemu.is_empty() {
            let target = self
                .suite
                .iter()
                .flat_map(|suite| ["-t".to_string(), suite.clone()]);
            commands.push(
                install()
                    .chain(target)
                    .chain(self.qemu.iter().cloned())
                    .collect(),
            );
        }
        commands
    }

    /// Returns what a person types to do the same.
    fn by_hand(&self, source: Option<&Source>) -> String {
        let mut lines = Vec::new();
        if let Some(Source { path, text }) = source {
            lines.push(format!("sudo tee {path} <<'END'\n{text}END"));
        }
        lines.push("sudo apt-get update".to_string());
        for args in self.commands() {
            lines.push(format!("sudo apt-get {}", args.join(" ")));
        }
        lines.join("\n")
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&[self.plain.join(" "), self.qemu.join(" ")].join(" "))?;
        self.suite
            .iter()
            .try_for_each(|suite| write!(f, " (QEMU from {suite})"))
    }
}

/// How this process gets root's rights.
#[derive(Clone, Copy)]
enum Root {
    Already,
    Sudo,
}

impl Root {
    fn find() -> Option<Self> {
        let is_root = fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0);
        if is_root {
            Some(Self::Already)
        } else if command("sudo", ["-n", "true"]).succeeds() {
            Some(Self::Sudo)
        } else {
            None
        }
    }

    fn command(self, program: &str, args: &[&str]) -> Command {
        let words = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "LC_ALL=C.UTF-8",
            program,
        ];
        match self {
            Self::Already => command(words[0], [&words[1..], args].concat()),
            Self::Sudo => command("sudo", [&["-n"], &words[..], args].concat()),
        }
    }
}

fn retry(mut step: impl FnMut() -> Result) -> Result {
    for _ in 1..ATTEMPTS {
        match step() {
            Ok(()) => return Ok(()),
            Err(failure) => say(format_args!("{failure}\ntrying again")),
        }
        thread::sleep(Duration::from_secs(5));
    }
    step()
}

/// Returns name and version of those of `names` that are installed.
fn installed(names: &[&str]) -> Result<BTreeMap<String, String>> {
    let mut query = command(
        "dpkg-query",
        ["-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n"],
    );
    query.args(names);
    // It fails when one of the names is unknown, and tells the others all the same.
    let output = query.output().doing(line(&query))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text
        .lines()
        .filter_map(|row| row.strip_prefix("installed ")?.split_once(' '));
    Ok(rows
        .map(|(name, version)| (name.to_string(), version.to_string()))
        .collect())
}

/// Returns this Debian's code name, as `bookworm`.
fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").doing("/etc/os-release")?;
    match text
        .lines()
        .find_map(|row| row.strip_prefix("VERSION_CODENAME="))
    {
        Some(name) => Ok(name.trim_matches('"').to_string()),
        None => fail("/etc/os-release tells no VERSION_CODENAME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn have(packages: &[(&str, &str)]) -> BTreeMap<String, String> {
        packages
            .iter()
            .map(|(name, version)| (name.to_string(), version.to_string()))
            .collect()
    }

    #[test]
    fn nothing_missing_means_nothing_to_do() {
        let have = have(&[("gzip", "1.12"), ("qemu-utils", "1:10.0.2~bpo12+1")]);
        assert!(Plan::new(&["gzip", "qemu-utils"], &have, "bookworm").is_empty());
    }

    #[test]
    fn stable_machine_needs_no_suite() {
        for have in [have(&[]), have(&[("qemu-utils", "1:7.2+dfsg-7")])] {
            let plan = Plan::new(&["cpio", "qemu-system-x86"], &have, "bookworm");
            assert_eq!(plan.suite, None);
            assert_eq!(plan.plain, ["cpio"]);
            assert_eq!(plan.qemu[0], "qemu-system-x86");
        }
    }

    #[test]
    fn backports_machine_gets_qemu_from_backports() {
        let have = have(&[("qemu-utils", "1:10.0.2+ds-2+deb13u1~bpo12+1")]);
        let plan = Plan::new(
            &["cpio", "qemu-system-x86", "qemu-utils"],
            &have,
            "bookworm",
        );
        assert_eq!(plan.qemu, ["qemu-system-x86", "qemu-utils"]);
        let commands = plan.commands();
        assert!(commands[0].ends_with(&["cpio".into()]));
        assert!(
            commands[1]
                .join(" ")
                .ends_with("-t bookworm-backports qemu-system-x86 qemu-utils")
        );
    }

    #[test]
    fn by_hand_names_every_command() {
        let have = have(&[("qemu-utils", "1:10.0.2~bpo12+1")]);
        let plan = Plan::new(&["cpio", "ovmf", "qemu-system-x86"], &have, "bookworm");
        let source = Source {
            path: "/etc/x.list".into(),
            text: "deb x\n".into(),
        };
        let by_hand = plan.by_hand(Some(&source));
        let lines: Vec<_> = by_hand.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "sudo tee /etc/x.list <<'END'",
                "deb x",
                "END",
                "sudo apt-get update"
            ]
        );
        assert!(lines[4].starts_with("sudo apt-get install ") && lines[4].ends_with(" cpio ovmf"));
        assert!(lines[5].ends_with(" -t bookworm-backports qemu-system-x86 qemu-utils"));
    }
}
