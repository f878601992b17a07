//! VMs that run, by turns with QEMU alone on the same disks: how soon a clone greets, how fast its
//! disks are, how long it takes to suspend and to resume, many at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::bare::{Bare, Console};
use super::{median, mib_per_second, row, timed};
use crate::guest;
use crate::run::{Doing, Result, Run, command, fail};
use crate::workspace::Workspace;

/// How often each is measured; the median counts.
const ROUNDS: usize = 5;

/// Clones that are started at once.
const MANY: usize = 20;

/// What is read and written on a disk in a guest.
const DATA_MIB: u64 = 256;

/// Measures, in `folder`.
///
/// # Errors
/// When a program or a guest fails.
pub fn run(workspace: &Workspace, guests: &Path, folder: &Path) -> Result {
    let lab = Lab {
        programs: workspace.programs(),
        folder,
    };
    lab.make_vm("gold", guests)?;
    lab.replix(&["snapshot", "gold", "base"])?;
    lab.greeting()?;
    lab.suspend(guests)?;
    lab.disks(guests)?;
    lab.many()
}

struct Lab<'a> {
    programs: PathBuf,
    folder: &'a Path,
}

impl Lab<'_> {
    /// From nothing to a clone whose guest greets.
    fn greeting(&self) -> Result {
        let gold = self.folder.join("gold/gold.vmdk");
        let child = self.folder.join("bare.vmdk");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(timed(|| {
                let linked = [
                    "clone",
                    "gold",
                    "web",
                    "--linked",
                    "--snapshot",
                    "base",
                    "--start",
                ];
                self.replix(&linked)?;
                self.console("web")?
                    .wait_for("hello from guest")
                    .map(|_| ())
            })?);
            self.discard("web")?;
            let mut bare = None;
            theirs.push(timed(|| {
                make_child(&gold, &child)?;
                let qemu = bare.insert(Bare::start(self.folder, &[(&child, "vmdk")], &[])?);
                qemu.console()?.wait_for("hello from guest").map(|_| ())
            })?);
            drop(bare);
            fs::remove_file(&child).doing(child.display())?;
        }
        compare(
            "linked clone, started, to its greeting",
            &mut ours,
            "QEMU alone",
            &mut theirs,
        );
        Ok(())
    }

    /// A guest of 256 MiB to a file and back; durable, and answering again.
    fn suspend(&self, guests: &Path) -> Result {
        let vmx = self.folder.join("sleeper/sleeper.vmx");
        let vmx = vmx.display().to_string();
        self.make_vm("sleeper", guests)?;
        self.replix(&["start", "sleeper"])?;
        self.console("sleeper")?.wait_for("guest-ready")?;
        // QEMU refuses to save a machine with a VMDK.
        let raw = self.folder.join("sleeper.raw");
        let copy = guest::Copy {
            marker: "raw",
            out: &raw,
            format: Some("raw"),
            disk: guest::Disk::Guest,
        };
        copy.write(guests)?;
        let state = self.folder.join("sleeper.state");
        let to = format!("file:{}", state.display());
        let disk = [(&*raw, "raw")];
        let mut bare = Bare::start(self.folder, &disk, &[])?;
        bare.console()?.wait_for("guest-ready")?;
        let mut times: [Vec<Duration>; 5] = Default::default();
        for round in 0..ROUNDS {
            // Only the guest executes that it is about: there are few processors.
            bare.execute(&[(json!({"execute": "stop"}), None)])?;
            if round > 0 {
                self.vmrun(&["unpause", &vmx])?;
            }
            times[0].push(timed(|| self.vmrun(&["suspend", &vmx, "hard"]))?);
            let start = Instant::now();
            thread::scope(|scope| {
                // The command goes on when the guest does: it removes what was saved.
                let command = scope.spawn(|| self.vmrun(&["start", &vmx, "nogui"]));
                while is_suspended(&vmx)? && !command.is_finished() {
                    thread::sleep(Duration::from_millis(1));
                }
                self.console("sleeper")?.time("true")?;
                times[1].push(start.elapsed());
                command.join().unwrap_or_else(|_| fail("a panic"))
            })?;
            times[4].push(start.elapsed());
            self.vmrun(&["pause", &vmx])?;
            bare.execute(&[(json!({"execute": "cont"}), None)])?;
            times[2].push(timed(|| {
                let save = json!({"execute": "migrate", "arguments": {"uri": to}});
                let report = json!([{"capability": "events", "state": true}]);
                let set = json!({"execute": "migrate-set-capabilities",
                                 "arguments": {"capabilities": report}});
                // By itself it sends no more than 128 MiB a second.
                let unlimited = json!({"execute": "migrate-set-parameters",
                                       "arguments": {"max-bandwidth": 1_u64 << 40}});
                bare.execute(&[
                    (json!({"execute": "stop"}), None),
                    (set, None),
                    (unlimited, None),
                    (save, Some("MIGRATION:completed")),
                ])?;
                fs::File::open(&state)
                    .and_then(|file| file.sync_all())
                    .doing("sync")
            })?);
            drop(bare);
            let start = Instant::now();
            bare = Bare::start(self.folder, &disk, &["-incoming", &to])?;
            let mut console = bare.console()?;
            // It was saved stopped.
            go_on(&bare)?;
            console.time("true")?;
            times[3].push(start.elapsed());
        }
        drop(bare);
        self.discard("sleeper")?;
        let [suspend, resume, save, load, whole] = &mut times;
        compare("suspend 256 MiB", suspend, "QEMU's migration by hand", save);
        compare(
            "resume, until the guest answers",
            resume,
            "QEMU's by hand",
            load,
        );
        row("  the whole command", median(whole), "");
        Ok(())
    }

    /// Data disks as a guest sees them: alone, copied, and behind links.
    fn disks(&self, guests: &Path) -> Result {
        self.make_vm("data", guests)?;
        let data = self.folder.join("data/data-1.vmdk");
        self.make_data(&data)?;
        let vmx = self.folder.join("data/data.vmx");
        let mut text = fs::read_to_string(&vmx).doing(vmx.display())?;
        text += "scsi0:1.present = \"TRUE\"\nscsi0:1.fileName = \"data-1.vmdk\"\n";
        fs::write(&vmx, text).doing(vmx.display())?;
        self.replix(&["clone", "data", "full"])?;
        self.replix(&["snapshot", "data", "1"])?;
        self.replix(&["clone", "data", "linked", "--linked", "--snapshot", "1"])?;
        self.replix(&["clone", "data", "deep", "--linked", "--snapshot", "1"])?;
        for depth in 2..=12 {
            self.replix(&["snapshot", "deep", &depth.to_string()])?;
        }
        for name in ["full", "linked", "deep"] {
            let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
            for _ in 0..3 {
                self.replix(&["start", name])?;
                let mut console = self.console(name)?;
                console.wait_for("guest-ready")?;
                measure(&mut console, &mut ours)?;
                self.replix(&["stop", name, "--hard"])?;
                let disks = self.disks_of(name)?;
                let bare = Bare::start(
                    self.folder,
                    &[(&disks[0], "vmdk"), (&disks[1], "vmdk")],
                    &[],
                )?;
                let mut console = bare.console()?;
                console.wait_for("guest-ready")?;
                measure(&mut console, &mut theirs)?;
            }
            let what = match name {
                "full" => "full clone",
                "linked" => "linked clone, 1 deep",
                _ => "linked clone, 12 deep",
            };
            for (doing, (ours, theirs)) in ["read", "write"]
                .iter()
                .zip(ours.iter_mut().zip(&mut theirs))
            {
                compare(
                    &format!("{doing} {DATA_MIB} MiB, {what}"),
                    ours,
                    "QEMU alone",
                    theirs,
                );
                println!("    {}", mib_per_second(DATA_MIB, median(ours)));
            }
        }
        Ok(())
    }

    /// Many clones started at once, until the last one is up. What a guest says before anybody listens
    /// is lost, so a sign that it repeats is waited for.
    fn many(&self) -> Result {
        let gold = self.folder.join("gold/gold.vmdk");
        let count = MANY.to_string();
        let ours = timed(|| {
            let linked = ["clone", "gold", "lab", "--linked", "--snapshot", "base"];
            let more = ["--count", &count, "--start"];
            self.replix(&[&linked[..], &more[..]].concat())?;
            for number in 1..=MANY {
                let mut console = self.console(&format!("lab-{number}"))?;
                console.wait_for("guest-tick")?;
            }
            Ok(())
        })?;
        for number in 1..=MANY {
            self.discard(&format!("lab-{number}"))?;
        }
        let mut bares = Vec::new();
        let theirs = timed(|| {
            for number in 1..=MANY {
                let folder = self.folder.join(format!("bare-{number}"));
                fs::create_dir(&folder).doing(folder.display())?;
                let child = folder.join("disk.vmdk");
                make_child(&gold, &child)?;
                bares.push(Bare::start(&folder, &[(&child, "vmdk")], &[])?);
            }
            for bare in &bares {
                bare.console()?.wait_for("guest-tick")?;
            }
            Ok(())
        })?;
        let what = format!("{MANY} linked clones at once, until all are up");
        compare(&what, &mut [ours], "QEMU alone", &mut [theirs]);
        Ok(())
    }

    /// Makes a VM of 256 MiB around the guest's disk; its serial port is a socket.
    fn make_vm(&self, name: &str, guests: &Path) -> Result {
        let vm = self.folder.join(name);
        fs::create_dir(&vm).doing(vm.display())?;
        let copy = guest::Copy {
            marker: name,
            out: &vm.join(format!("{name}.vmdk")),
            format: None,
            disk: guest::Disk::Guest,
        };
        copy.write(guests)?;
        let vmx = format!(
            ".encoding = \"UTF-8\"\nconfig.version = \"8\"\nvirtualHW.version = \"19\"\n\
             displayName = \"{name}\"\nguestOS = \"other5xlinux-64\"\nmemsize = \"256\"\n\
             scsi0.present = \"TRUE\"\nscsi0.virtualDev = \"pvscsi\"\nscsi0:0.present = \"TRUE\"\n\
             scsi0:0.fileName = \"{name}.vmdk\"\nethernet0.present = \"TRUE\"\n\
             ethernet0.virtualDev = \"vmxnet3\"\nethernet0.connectionType = \"nat\"\n\
             serial0.present = \"TRUE\"\nserial0.fileType = \"pipe\"\n\
             serial0.fileName = \"serial.socket\"\nserial0.pipe.endPoint = \"server\"\n"
        );
        let path = vm.join(format!("{name}.vmx"));
        fs::write(&path, vmx).doing(path.display())
    }

    /// Makes a disk full of data that does not compress.
    fn make_data(&self, disk: &Path) -> Result {
        let noise = self.folder.join("noise.raw");
        super::make_noise(&noise, DATA_MIB)?;
        command(
            "qemu-img",
            ["convert", "-O", "vmdk", "-o", "adapter_type=lsilogic"],
        )
        .arg(&noise)
        .arg(disk)
        .quiet()?;
        fs::remove_file(&noise).doing(noise.display())
    }

    /// The disks that a VM's configuration names, in order.
    fn disks_of(&self, name: &str) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join(name);
        let vmx = folder.join(format!("{name}.vmx"));
        let text = fs::read_to_string(&vmx).doing(vmx.display())?;
        let mut disks: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("scsi0:") && line.contains(".fileName"))
            .filter_map(|line| Some((line.split('.').next()?, line.split('"').nth(1)?)))
            .collect();
        disks.sort_unstable();
        Ok(disks
            .into_iter()
            .map(|(_, disk)| folder.join(disk))
            .collect())
    }

    fn console(&self, name: &str) -> Result<Console> {
        Console::connect(&self.folder.join(name).join("serial.socket"))
    }

    fn discard(&self, name: &str) -> Result {
        self.replix(&["stop", name, "--hard"])?;
        self.replix(&["delete", name, "--yes"])
    }

    fn replix(&self, args: &[&str]) -> Result {
        command(self.programs.join("replix"), args)
            .current_dir(self.folder)
            .quiet()
    }

    fn vmrun(&self, args: &[&str]) -> Result {
        command(self.programs.join("vmrun"), args).quiet()
    }
}

/// Tells whether the configuration at `vmx` names a state to resume.
fn is_suspended(vmx: &str) -> Result<bool> {
    let text = fs::read_to_string(vmx).doing(vmx)?;
    Ok(text.contains(".replixstate"))
}

/// Waits until a machine has what it was saved with, and lets it execute.
fn go_on(bare: &Bare) -> Result {
    let status = [(json!({"execute": "query-status"}), None)];
    while bare.execute(&status)?["status"] == "inmigrate" {
        thread::sleep(Duration::from_millis(2));
    }
    bare.execute(&[(json!({"execute": "cont"}), None)])?;
    Ok(())
}

/// Reads and then writes the second disk, past the guest's cache.
fn measure(console: &mut Console, times: &mut [Vec<Duration>; 2]) -> Result {
    let count = DATA_MIB;
    console.time("echo 3 >/proc/sys/vm/drop_caches")?;
    let read = format!("dd if=/dev/sdb of=/dev/null bs=1M count={count} 2>/dev/null");
    times[0].push(console.time(&read)?);
    let write = format!("dd if=/dev/zero of=/dev/sdb bs=1M count={count} conv=fsync 2>/dev/null");
    times[1].push(console.time(&write)?);
    Ok(())
}

fn make_child(parent: &Path, child: &Path) -> Result {
    command(
        "qemu-img",
        ["create", "-q", "-f", "vmdk", "-F", "vmdk", "-b"],
    )
    .arg(parent)
    .args(["-o", "adapter_type=lsilogic"])
    .arg(child)
    .quiet()
}

/// Prints both medians and what the first is of the second.
fn compare(what: &str, ours: &mut [Duration], peer: &str, theirs: &mut [Duration]) {
    let (mine, other) = (median(ours), median(theirs));
    let ratio = mine.as_secs_f64() / other.as_secs_f64();
    row(what, mine, &format!("{ratio:.2} of {peer}"));
    row(&format!("  {peer}"), other, "");
}
