//! `cargo xtask demo`: the product shown end to end on the test guest.
//!
//! A VM is made around the guest's disk; all else the programs do, called as a person calls them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Doing, Result, Run, command, fail, say, seconds, stage};
use crate::scratch::Scratch;
use crate::workspace::Workspace;
use crate::{deps, guest};

/// The VM that the guest's disk gets.
const VMX: &str = r#".encoding = "UTF-8"
config.version = "8"
virtualHW.version = "19"
displayName = "demo"
guestOS = "other5xlinux-64"
memsize = "256"
numvcpus = "1"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "demo.vmdk"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet0.connectionType = "nat"
ethernet0.addressType = "generated"
ethernet0.generatedAddress = "00:0c:29:3a:5b:7c"
ethernet0.generatedAddressOffset = "0"
uuid.bios = "56 4d 12 34 56 78 9a bc-de f0 12 34 56 3a 5b 7c"
uuid.location = "56 4d 12 34 56 78 9a bc-de f0 12 34 56 3a 5b 7c"
serial0.present = "TRUE"
serial0.fileType = "file"
serial0.fileName = "serial.txt"
"#;

/// How long a guest may take to boot on a slow machine without hardware virtualization.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// Installs what is missing, builds, and shows what the programs do with a VM.
///
/// # Errors
/// When a step fails; what it made is removed, and what it started is stopped.
pub fn run(workspace: &Workspace) -> Result {
    stage("tools", || deps::install(&[deps::GUEST, deps::QEMU]))?;
    let guests = guest::build(workspace)?;
    stage("release programs", || workspace.build_programs())?;
    stage("programs at work", || {
        let folder = Scratch::create(workspace.target.join("demo"))?;
        Show {
            replix: workspace.programs().join("replix"),
            folder: &folder.0,
        }
        .run(&guests)
    })
}

/// The programs, and the folder that the VMs are in.
struct Show<'a> {
    replix: PathBuf,
    folder: &'a Path,
}

impl Show<'_> {
    fn run(&self, guests: &Path) -> Result {
        self.make_vm(guests)?;
        self.step("What is this VM?", &["info", "demo"])?;
        self.step("Keep it as it is now.", &["snapshot", "demo", "base"])?;
        self.step(
            "A full clone: a copy that stands alone.",
            &["clone", "demo", "full"],
        )?;
        let linked = [
            "clone",
            "demo",
            "linked",
            "--linked",
            "--snapshot",
            "base",
            "--count",
            "3",
        ];
        self.step(
            "Three linked clones: each only what it will change.",
            &linked,
        )?;
        self.step("One of them runs.", &["start", "linked-1"])?;
        let _running = Running(self);
        self.greeting("linked-1")?;
        self.step(
            "Who stands on whom, and what does it take?",
            &["tree", "demo"],
        )?;
        self.sizes(&["demo", "full", "linked-1", "linked-2", "linked-3"])
    }

    /// Makes the VM folder `demo`.
    fn make_vm(&self, guests: &Path) -> Result {
        let vm = self.folder.join("demo");
        fs::create_dir(&vm).doing(vm.display())?;
        let out = &vm.join("demo.vmdk");
        guest::Copy {
            marker: "demo",
            out,
            format: None,
            disk: guest::Disk::Guest,
        }
        .write(guests)?;
        let vmx = vm.join("demo.vmx");
        fs::write(&vmx, VMX).doing(vmx.display())
    }

    /// Runs `replix args...` where the VMs are, and says what for and how long it took.
    fn step(&self, what: &str, args: &[&str]) -> Result {
        say(format_args!("\n# {what}\n$ replix {}", args.join(" ")));
        let start = Instant::now();
        command(&self.replix, args).current_dir(self.folder).run()?;
        say(format_args!(
            "# took {:.2} s",
            start.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Waits until the guest of a VM has greeted, and shows that it is this VM's.
    fn greeting(&self, name: &str) -> Result {
        let start = Instant::now();
        let vmx = self.folder.join(name).join(format!("{name}.vmx"));
        let vmx = fs::read_to_string(&vmx).doing(vmx.display())?;
        let serial = self
            .folder
            .join(name)
            .join(entry(&vmx, "serial0.fileName")?);
        let said = loop {
            // It comes into being with the guest's first word.
            let said = fs::read_to_string(&serial).unwrap_or_default();
            if said.contains("guest-ready") {
                break said;
            }
            if start.elapsed() > BOOT_LIMIT {
                return fail(format!(
                    "{name} is not up after {}; it said\n{said}",
                    seconds(BOOT_LIMIT)
                ));
            }
            thread::sleep(Duration::from_millis(100));
        };
        say(format_args!(
            "\n# {name} says, after {}:\n{}",
            seconds(start.elapsed()),
            said.trim_end()
        ));
        let mac = format!("mac={} ", entry(&vmx, "ethernet0.generatedAddress")?);
        if said.contains(&mac) {
            Ok(())
        } else {
            fail(format!("{name} does not have {mac}"))
        }
    }

    fn sizes(&self, names: &[&str]) -> Result {
        say("\n# What the folders take on this disk:");
        for name in names {
            let folder = self.folder.join(name);
            let entries = fs::read_dir(&folder).doing(folder.display())?.flatten();
            let blocks: u64 = entries
                .flat_map(|entry| entry.metadata())
                .map(|file| file.blocks())
                .sum();
            say(format_args!("{:>10.2} MiB  {name}", blocks as f64 / 2048.0));
        }
        Ok(())
    }
}

/// Returns the value of an entry of a `.vmx`.
fn entry<'a>(vmx: &'a str, name: &str) -> Result<&'a str> {
    let value = |row: &'a str| row.strip_prefix(name)?.split('"').nth(1);
    match vmx.lines().find_map(value) {
        Some(value) => Ok(value),
        None => fail(format!("the .vmx has no {name}")),
    }
}

/// The clone that runs; it is off when this value goes.
struct Running<'a>(&'a Show<'a>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Err(failure) = self.0.step("Off again.", &["stop", "linked-1", "--hard"]) {
            say(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_whole_name() {
        let vmx = "serial0.fileName = \"a b.txt\"\nethernet0.generatedAddressOffset = \"0\"\n";
        assert_eq!(entry(vmx, "serial0.fileName").unwrap(), "a b.txt");
        assert!(entry(vmx, "scsi0.present").is_err());
    }
}
