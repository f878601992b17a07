//! `cargo xtask bench`: how long clones and hand-outs take and what they cost, measured on the release
//! programs.
//!
//! Numbers, not verdicts: they depend on the machine, only ratios compare.

mod bare;
mod disks;
mod guests;
mod pool;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::run::{Doing, Result, Run, command, fail, stage};
use crate::scratch::Scratch;
use crate::workspace::{Workspace, cargo};
use crate::{deps, guest};

/// How often the same is measured; the quickest run counts, as the least disturbed one.
const RUNS: u32 = 5;

const MANY: u32 = 100;

/// How much random data the disk has that is cloned in full.
const DATA_MIB: u64 = 1024;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// Clones: how long they take and what they cost
    Clones,
    /// Copies of disks in all layouts, by each way in which data gets to its place
    Disks,
    /// VMs handed out of a pool
    Pool,
    /// VMs that run, beside QEMU alone
    Guests,
    /// Thousands of linked clones of one snapshot, made and deleted
    Crowd,
}

/// How many clones that are, and where it only has to be shown that it works.
const CROWD: [&str; 2] = ["5000", "100"];

/// Measures all topics, or `only` one, and prints a table; `small` disks only show that it works.
///
/// # Errors
/// When a program fails; what was made is removed.
pub fn run(workspace: &Workspace, only: Option<Topic>, small: bool) -> Result {
    let is_wanted = |topic| only.is_none_or(|only| only == topic);
    stage("tools", || deps::install(&[deps::GUEST, deps::QEMU]))?;
    if only != Some(Topic::Disks) {
        stage("release programs", || workspace.build_programs())?;
    }
    let folder = Scratch::create(workspace.target.join("bench"))?;
    let bench = Bench {
        replix: workspace.programs().join("replix"),
        folder: &folder.0,
    };
    if is_wanted(Topic::Clones) {
        stage("linked clones", || bench.linked_clones())?;
        stage("VIX library", || bench.vix_library(workspace))?;
        stage("full clones", || bench.full_clones())?;
    }
    if is_wanted(Topic::Disks) {
        stage("tools for disks", || deps::install(&[deps::DISKS]))?;
        stage("programs for disks", build_copier)?;
        let scale = match small {
            true => disks::Scale::SMALL,
            false => disks::Scale::FULL,
        };
        stage("disks", || disks::run(workspace, &folder.0, scale))?;
    }
    if is_wanted(Topic::Pool) {
        let programs = workspace.programs();
        let guests = guest::build(workspace)?;
        stage("pool", || pool::hand_out(&programs, &folder.0, &guests))?;
    }
    if is_wanted(Topic::Guests) {
        let guests = guest::build(workspace)?;
        stage("guests", || guests::run(workspace, &guests, &folder.0))?;
    }
    if is_wanted(Topic::Crowd) {
        let [all, few] = CROWD;
        stage("crowd", || crowd(if small { few } else { all }))?;
    }
    Ok(())
}

/// Builds `replix`, and the example that copies disks without a VM around them.
fn build_copier() -> Result {
    cargo([
        "build",
        "--release",
        "--package",
        "replix",
        "--package",
        "replix-cli",
    ])
    .args(["--example", "copy_disk", "--bin", "replix"])
    .run()
}

/// Makes `count` linked clones of one snapshot and deletes them in any order, as the test does.
fn crowd(count: &str) -> Result {
    let test = ["test", "--release", "-p", "replix-cli", "--test", "it"];
    cargo(test)
        .args(["crowd::many_clones_of_one_snapshot", "--", "--nocapture"])
        .env("REPLIX_TEST_CROWD", count)
        .run()
}

struct Bench<'a> {
    replix: PathBuf,
    folder: &'a Path,
}

impl Bench<'_> {
    /// A linked clone must not cost more where the disk is larger.
    fn linked_clones(&self) -> Result {
        let mut costs = Vec::new();
        for size in ["1G", "1T"] {
            self.make_vm(size, size)?;
            self.replix(&["snapshot", size, "base"])?;
            let clone = format!("{size}-linked");
            let time = self.quickest(
                &clone,
                &["clone", size, &clone, "--linked", "--snapshot", "base"],
            )?;
            row(
                &format!("linked clone, disk of {size}iB"),
                time,
                &mib(self.disk_bytes(&clone)?),
            );
            costs.push((time, self.disk_bytes(&clone)?));
        }
        if let [(small_time, small_bytes), (large_time, large_bytes)] = costs[..] {
            let time = large_time.as_secs_f64() / small_time.as_secs_f64();
            let space = large_bytes as f64 / small_bytes as f64;
            println!(
                "{:<40}{time:>8.2}     {space:.2}",
                "  ratio of time, of space"
            );
        }
        let many = MANY.to_string();
        let time = self.replix(&[
            "clone",
            "1G",
            "many",
            "--linked",
            "--snapshot",
            "base",
            "--count",
            &many,
        ])?;
        row(
            &format!("{MANY} linked clones"),
            time,
            &format!("{:.1} ms each", millis(time / MANY)),
        );
        Ok(())
    }

    /// The C library against the engine below it.
    fn vix_library(&self, workspace: &Workspace) -> Result {
        let package = ["run", "--release", "--quiet", "--package", "replix-vix-c"];
        let times = cargo(package)
            .args(["--example", "overhead", "--"])
            .arg(workspace.programs().join("libvixAllProducts.so"))
            .arg(self.folder.join("1G/1G.vmx"))
            .arg(self.folder.join("vix"))
            .text()?;
        let times: Vec<f64> = times.split_whitespace().flat_map(str::parse).collect();
        let [engine, library, job] = times[..] else {
            return fail(format!("not three times: {times:?}"));
        };
        let time = |micros: f64| Duration::from_secs_f64(micros / 1e6);
        row("open and linked clone, engine", time(engine), "median");
        let ratio = format!("{:.3} of the engine's", library / engine);
        row("open and linked clone, VIX library", time(library), &ratio);
        row(
            "empty job, started and waited for",
            time(job),
            &format!("{job:.1} us"),
        );
        Ok(())
    }

    /// A full clone against what copies the same bytes and knows nothing of VMs.
    fn full_clones(&self) -> Result {
        self.make_vm("data", "2G")?;
        let disk = self.folder.join("data/data.vmdk");
        let noise = self.folder.join("noise.raw");
        make_noise(&noise, DATA_MIB)?;
        let convert = ["convert", "-O", "vmdk", "-o", "adapter_type=lsilogic"];
        command("qemu-img", convert)
            .arg(&noise)
            .arg(&disk)
            .quiet()?;

        let rate = |time| mib_per_second(DATA_MIB, time);
        let time = self.quickest("full", &["clone", "data", "full"])?;
        row(
            &format!("full clone, {DATA_MIB} MiB of data"),
            time,
            &rate(time),
        );
        let copy = self.folder.join("copy.vmdk");
        let time = timed(|| {
            command("qemu-img", ["convert", "-O", "vmdk"])
                .arg(&disk)
                .arg(&copy)
                .quiet()
        })?;
        row("  qemu-img convert", time, &rate(time));
        let time = timed(|| {
            command("cp", ["--reflink=never"])
                .arg(&disk)
                .arg(&copy)
                .quiet()
        })?;
        row("  cp", time, &rate(time));
        Ok(())
    }

    /// Makes a VM folder with an empty disk.
    fn make_vm(&self, name: &str, size: &str) -> Result {
        let vm = self.folder.join(name);
        fs::create_dir(&vm).doing(vm.display())?;
        let create = ["create", "-q", "-f", "vmdk", "-o", "adapter_type=lsilogic"];
        command("qemu-img", create)
            .arg(vm.join(format!("{name}.vmdk")))
            .arg(size)
            .quiet()?;
        let vmx = format!(
            ".encoding = \"UTF-8\"\nconfig.version = \"8\"\nvirtualHW.version = \"19\"\n\
             displayName = \"{name}\"\nguestOS = \"other-64\"\nscsi0.present = \"TRUE\"\n\
             scsi0.virtualDev = \"pvscsi\"\nscsi0:0.present = \"TRUE\"\n\
             scsi0:0.fileName = \"{name}.vmdk\"\n"
        );
        let path = vm.join(format!("{name}.vmx"));
        fs::write(&path, vmx).doing(path.display())
    }

    /// Returns the shortest time of several runs that make the folder `made`; the last one stays.
    fn quickest(&self, made: &str, args: &[&str]) -> Result<Duration> {
        let mut best = self.replix(args)?;
        for _ in 1..RUNS {
            self.replix(&["delete", made, "--yes"])?;
            best = best.min(self.replix(args)?);
        }
        Ok(best)
    }

    fn replix(&self, args: &[&str]) -> Result<Duration> {
        timed(|| command(&self.replix, args).current_dir(self.folder).quiet())
    }

    /// Returns what the files of a VM take on this disk.
    fn disk_bytes(&self, name: &str) -> Result<u64> {
        let folder = self.folder.join(name);
        let entries = fs::read_dir(&folder).doing(folder.display())?.flatten();
        let bytes = entries
            .flat_map(|entry| entry.metadata())
            .map(|file| file.blocks() * 512)
            .sum();
        if bytes == 0 {
            fail(format!("{} is empty", folder.display()))
        } else {
            Ok(bytes)
        }
    }
}

/// Writes a file of data that does not compress.
fn make_noise(path: &Path, mib: u64) -> Result {
    let mut random = fs::File::open("/dev/urandom").doing("/dev/urandom")?;
    let mut file = fs::File::create(path).doing(path.display())?;
    let mut part = std::io::Read::take(&mut random, mib << 20);
    std::io::copy(&mut part, &mut file).doing(path.display())?;
    Ok(())
}

fn mib_per_second(mib: u64, time: Duration) -> String {
    format!("{:.0} MiB/s", mib as f64 / time.as_secs_f64())
}

fn timed(work: impl FnOnce() -> Result) -> Result<Duration> {
    let start = Instant::now();
    work().map(|()| start.elapsed())
}

/// Returns the middle one, and sorts all.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn row(what: &str, time: Duration, more: &str) {
    println!("{what:<40}{:>8.1} ms  {more}", millis(time));
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn mib(bytes: u64) -> String {
    format!("{:.3} MiB", bytes as f64 / f64::from(1 << 20))
}
