//! Making the networks, once, by root; and taking them back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

use super::attach::helper;
use super::record::{FILE, Record};
use super::tool::{run, succeeds};
use super::{Network, NetworkKind, Subnet, services, told};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::store::{Local, Store, create_dirs, folder_of, read_small, replace};

/// Which bridges QEMU's helper connects to.
const BRIDGE_CONF: &str = "/etc/qemu/bridge.conf";

/// What makes the networks again after a reboot.
const UNIT: &str = "/etc/systemd/system/replix-network.service";

/// Where systemd runs, this is.
const SYSTEMD: &str = "/run/systemd/system";

/// No file that is edited is larger.
const LIMIT: u64 = 1 << 20;

/// What is to be set up.
#[derive(Clone, Debug)]
pub struct SetupSpec {
    /// The addresses of the NAT network; `None` chooses a free range.
    pub nat: Option<Subnet>,
    /// The addresses of the host-only network.
    pub hostonly: Option<Subnet>,
    /// `replix`, which is called at boot and by the DHCP servers.
    pub program: PathBuf,
}

/// Makes the networks `vmnet1` and `vmnet8`; returns them. Where they were made before, repairs them.
///
/// # Errors
/// `Denied` for others than root; `FileExists` where a VMware product's networks, or others of ours,
/// are there; `NotSupported` where a program is missing. After an error, nothing is left.
pub fn setup(spec: &SetupSpec, job: &Job) -> Result<Vec<Network>> {
    require_root()?;
    if let Some(record) = Record::read(&Local)? {
        require_same(&record, spec)?;
        services::start(&record)?;
        return Ok(record.networks);
    }
    let record = plan(spec)?;
    create_dirs(&Local, folder_of(Path::new(FILE)))?;
    record.write(&Local)?;
    if let Err(error) = make(&record, spec, job) {
        let _ = take_back(&record);
        return Err(error);
    }
    Ok(record.networks)
}

/// Makes again what a reboot took.
///
/// # Errors
/// `Denied` for others than root; `NotSupported` where nothing is set up; what the system says.
pub fn bring_up() -> Result<()> {
    require_root()?;
    services::start(&require_record()?)
}

/// Takes back all that [`setup`] did.
///
/// # Errors
/// `Denied` for others than root; `NotSupported` where nothing is set up; `Busy` while VMs run on it.
pub fn remove() -> Result<()> {
    require_root()?;
    let record = require_record()?;
    for network in &record.networks {
        if services::is_used(network)? {
            let text = format!("VMs are connected to {}", network.name());
            return Err(Error::new(Kind::Busy, text).hint("power them off first: replix list"));
        }
    }
    take_back(&record)
}

fn require_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        // What is made is for everybody to read, whatever root keeps private.
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        return Ok(());
    }
    let error = Error::new(Kind::Denied, "only root makes and removes networks");
    Err(error.hint("run it by sudo"))
}

fn require_record() -> Result<Record> {
    Record::read(&Local)?.ok_or_else(|| {
        let error = Error::new(Kind::NotSupported, "no networks are set up here");
        error.hint("replix network setup")
    })
}

fn require_same(record: &Record, spec: &SetupSpec) -> Result<()> {
    let differs = |network: &Network| {
        let wanted = wanted(spec, network.kind);
        wanted.is_some_and(|wanted| wanted != network.subnet)
    };
    if !record.networks.iter().any(differs) {
        return Ok(());
    }
    let text = "the networks are set up with other addresses";
    Err(Error::new(Kind::FileExists, text).hint("first: replix network remove"))
}

fn wanted(spec: &SetupSpec, kind: NetworkKind) -> Option<Subnet> {
    match kind {
        NetworkKind::HostOnly => spec.hostonly,
        NetworkKind::Nat => spec.nat,
    }
}

/// Looks at what is there, and decides what will be made.
fn plan(spec: &SetupSpec) -> Result<Record> {
    let mut networks = Vec::new();
    let mut used = used_addresses()?;
    for kind in NetworkKind::ALL {
        let name = kind.network();
        if services::exists(name) {
            return Err(in_the_way(format!("there is an interface {name}")));
        }
        let subnet = match wanted(spec, kind) {
            Some(subnet) => subnet,
            None => free(&used)?,
        };
        used.push(subnet.to_string());
        networks.push(Network { kind, subnet });
    }
    let helper = helper()?;
    let is_setuid = succeeds("test", &["-u", &helper.to_string_lossy()]);
    Ok(Record {
        made: made(&networks)?,
        networks,
        forwarding_was_off: !services::forwards()?,
        helper: (!is_setuid).then_some(helper),
    })
}

fn in_the_way(text: String) -> Error {
    let hint = "networks of a VMware product, or of your own, are left alone: remove them first";
    Error::new(Kind::FileExists, text).hint(hint)
}

/// The address ranges that this host knows ways to, as `ip` writes them.
fn used_addresses() -> Result<Vec<String>> {
    let routes = run("ip", &["-4", "route", "show", "table", "all"])?;
    let word = |line: &str| {
        line.split(' ')
            .find(|word| word.contains('.'))
            .map(String::from)
    };
    Ok(routes.lines().filter_map(word).collect())
}

/// The first range of 192.168 that nobody uses. Libvirt's usual one is left to it.
fn free(used: &[String]) -> Result<Subnet> {
    let is_free = |third: &u8| {
        let prefix = format!("192.168.{third}.");
        *third != 122 && !used.iter().any(|range| range.starts_with(&prefix))
    };
    let third = (100..=254).find(is_free).ok_or_else(|| {
        let error = Error::new(Kind::NotSupported, "no range of 192.168 is free");
        error.hint("give one: replix network setup --nat SUBNET --hostonly SUBNET")
    })?;
    let subnet = format!("192.168.{third}.0/24").parse();
    subnet.map_err(|what: String| Error::new(Kind::Internal, what))
}

/// The folders and files that will be made, in order.
fn made(networks: &[Network]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = told::files(networks)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    if let Some(path) = files.iter().find(|path| Local.exists(path)) {
        return Err(in_the_way(format!("{} is there", quoted(path))).at(path));
    }
    for network in networks {
        files.extend([
            services::event_script(network),
            super::leases::file(network),
        ]);
    }
    files.extend([BRIDGE_CONF, UNIT].map(PathBuf::from));
    files.push(FILE.into());
    files.retain(|path| !Local.exists(path));
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for file in &files {
        let above = file.ancestors().skip(1);
        folders.extend(
            above
                .take_while(|dir| !Local.exists(dir))
                .map(Path::to_path_buf),
        );
    }
    folders.insert(services::RUN.into());
    Ok(folders.into_iter().chain(files).collect())
}

fn make(record: &Record, spec: &SetupSpec, job: &Job) -> Result<()> {
    for (path, text) in told::files(&record.networks) {
        write(&path, &text)?;
    }
    create_dirs(&Local, Path::new(services::STATE))?;
    for network in &record.networks {
        let script = services::event_script(network);
        let program = shell_word(&spec.program);
        let line = format!(
            "exec {program} network leases {} >/dev/null 2>&1",
            network.name()
        );
        write(&script, &format!("#!/bin/sh\n{line}\n"))?;
        run("chmod", &["755", &script.to_string_lossy()])?;
    }
    let conf = read_conf()?;
    write(
        Path::new(BRIDGE_CONF),
        &(without_lines(&conf, &record.networks) + &lines(&record.networks)),
    )?;
    services::start(record)?;
    persist(spec, job)
}

fn write(path: &Path, text: &str) -> Result<()> {
    create_dirs(&Local, folder_of(path))?;
    replace(&Local, path, text.as_bytes())
}

fn shell_word(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

fn read_conf() -> Result<String> {
    match read_small(&Local, Path::new(BRIDGE_CONF), LIMIT) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == Kind::FileNotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Our lines of the helper's list, told from the user's by the first.
fn lines(networks: &[Network]) -> String {
    let allow = |network: &Network| format!("allow {}\n", network.name());
    let lines: String = networks.iter().map(allow).collect();
    format!("# by replix network setup:\n{lines}")
}

fn without_lines(conf: &str, networks: &[Network]) -> String {
    conf.replacen(&lines(networks), "", 1)
}

/// Lets the networks come back after a reboot, where systemd starts the machine.
fn persist(spec: &SetupSpec, job: &Job) -> Result<()> {
    if !Local.exists(Path::new(SYSTEMD)) {
        job.warn("no systemd here: after a reboot, let root run replix network up");
        return Ok(());
    }
    let program = spec.program.to_string_lossy().replace('%', "%%");
    let unit = format!(
        "[Unit]\nDescription=Virtual networks of Replix\nAfter=network.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=\"{program}\" network up\n\n[Install]\nWantedBy=multi-user.target\n"
    );
    write(Path::new(UNIT), &unit)?;
    run("systemctl", &["daemon-reload"])?;
    run(
        "systemctl",
        &["enable", "--quiet", "replix-network.service"],
    )
    .map(drop)
}

/// Takes back what was made, all that can be; the record goes last.
fn take_back(record: &Record) -> Result<()> {
    if Local.exists(Path::new(UNIT)) {
        run(
            "systemctl",
            &["disable", "--now", "--quiet", "replix-network.service"],
        )?;
    }
    services::stop(record)?;
    let conf = read_conf()?;
    let left = without_lines(&conf, &record.networks);
    if left != conf {
        replace(&Local, Path::new(BRIDGE_CONF), left.as_bytes())?;
    }
    let (folders, files): (Vec<&PathBuf>, Vec<_>) =
        record.made.iter().partition(|path| is_folder(path));
    for file in files.into_iter().filter(|file| Local.exists(file)) {
        // Lines that the user added since are the user's.
        if file != Path::new(BRIDGE_CONF) || left.is_empty() {
            Local.remove_file(file)?;
        }
    }
    for folder in folders.into_iter().rev() {
        // What somebody else put there stays.
        let _ = Local.remove_dir(folder);
    }
    if Local.exists(Path::new(SYSTEMD)) {
        run("systemctl", &["daemon-reload"])?;
    }
    Ok(())
}

fn is_folder(path: &Path) -> bool {
    Local.list(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_range_is_used_by_nobody() {
        let used = ["192.168.100.0/24", "192.168.101.7", "10.0.0.0/8"].map(String::from);
        assert_eq!(free(&used).unwrap().to_string(), "192.168.102.0/24");
        let all: Vec<String> = (0..=255).map(|n| format!("192.168.{n}.0/24")).collect();
        assert_eq!(free(&all).unwrap_err().kind(), Kind::NotSupported);
    }

    #[test]
    fn lines_of_the_user_stay() {
        let networks = [Network {
            kind: NetworkKind::Nat,
            subnet: "192.168.90.0/24".parse().unwrap(),
        }];
        let with = format!("allow br0\n{}allow vmnet8\n", lines(&networks));
        assert_eq!(without_lines(&with, &networks), "allow br0\nallow vmnet8\n");
        assert_eq!(without_lines("allow br0\n", &networks), "allow br0\n");
    }
}
