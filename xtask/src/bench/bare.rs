//! QEMU alone, with the devices that ours has: what the benchmarks of guests compare with.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::run::{Doing, Result, fail};

/// How long a guest may take for anything.
const LIMIT: Duration = Duration::from_secs(300);

/// A QEMU; killed in the end.
pub struct Bare {
    child: Child,
    folder: PathBuf,
}

impl Bare {
    /// Starts one whose sockets are in `folder`, with the boot disk first; `more` are further arguments.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub fn start(folder: &Path, disks: &[(&Path, &str)], more: &[&str]) -> Result<Self> {
        let at = |name: &str| folder.join(name).display().to_string();
        for name in ["serial", "qmp"] {
            // Left by the one before.
            let _ = std::fs::remove_file(folder.join(name));
        }
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-no-user-config", "-machine", "pc,accel=tcg"])
            .args(["-cpu", "max", "-m", "256", "-display", "none"])
            .args(["-device", "VGA,vgamem_mb=16", "-device", "pvscsi,id=scsi0"])
            .args(["-netdev", "user,id=net0", "-device", "vmxnet3,netdev=net0"])
            .args(["-chardev"])
            .arg(format!(
                "socket,id=s,path={},server=on,wait=off",
                at("serial")
            ))
            .args(["-device", "isa-serial,chardev=s", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", at("qmp")));
        for (number, (disk, format)) in disks.iter().enumerate() {
            let drive = format!(
                "if=none,id=d{number},file={},format={format}",
                disk.display()
            );
            let device = format!("scsi-hd,drive=d{number},bus=scsi0.0,scsi-id={number}");
            qemu.args(["-drive", &drive, "-device", &device]);
        }
        qemu.args(more).stdin(Stdio::null());
        let child = qemu.spawn().doing("qemu-system-x86_64")?;
        let folder = folder.to_path_buf();
        Ok(Self { child, folder })
    }

    /// Connects to its serial port.
    ///
    /// # Errors
    /// When it does not come.
    pub fn console(&self) -> Result<Console> {
        Console::connect(&self.folder.join("serial"))
    }

    /// Executes commands of QMP one after another, and waits for the event that each ends with, if any;
    /// returns what the last one is answered with.
    ///
    /// # Errors
    /// When QEMU refuses one.
    pub fn execute(&self, commands: &[(Value, Option<&str>)]) -> Result<Value> {
        let stream = connect(&self.folder.join("qmp"))?;
        let mut lines = BufReader::new(stream.try_clone().doing("QMP")?).lines();
        let mut heard = || -> Result<Value> {
            let line = lines.next().unwrap_or(Ok(String::new())).doing("QMP")?;
            serde_json::from_str(&line).doing(line)
        };
        heard()?;
        let mut answer = Value::Null;
        let hello = [(json!({"execute": "qmp_capabilities"}), None)];
        for (command, end) in hello.iter().chain(commands) {
            (&stream)
                .write_all(command.to_string().as_bytes())
                .doing("QMP")?;
            let (mut is_answered, mut is_over) = (false, end.is_none());
            while !(is_answered && is_over) {
                let said = heard()?;
                if said.get("error").is_some() {
                    return fail(format!("{command}: {said}"));
                }
                if let Some(said) = said.get("return") {
                    (is_answered, answer) = (true, said.clone());
                }
                is_over |= end.is_some_and(|end| is_event(&said, end));
            }
        }
        Ok(answer)
    }
}

/// `EVENT`, or `EVENT:STATUS`.
fn is_event(said: &Value, wanted: &str) -> bool {
    let mut name = said["event"].as_str().unwrap_or_default().to_owned();
    if let Some(status) = said["data"]["status"].as_str() {
        // Writing to a string cannot fail.
        let _ = write!(name, ":{status}");
    }
    name == wanted
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A guest's serial port.
pub struct Console {
    stream: UnixStream,
    said: String,
}

impl Console {
    /// Connects to the socket at `path`, which may be a moment in coming.
    ///
    /// # Errors
    /// When it does not come.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = connect(path)?;
        let pause = Some(Duration::from_millis(100));
        stream.set_read_timeout(pause).doing(path.display())?;
        Ok(Self {
            stream,
            said: String::new(),
        })
    }

    /// Waits until the guest has said `wanted`; returns all that it has said since the last command.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_for(&mut self, wanted: &str) -> Result<&str> {
        let deadline = Instant::now() + LIMIT;
        let mut buffer = [0; 4096];
        while !self.said.contains(wanted) {
            match self.stream.read(&mut buffer) {
                Ok(got) if got > 0 => self.said += &String::from_utf8_lossy(&buffer[..got]),
                Err(e) if e.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {}
                _ => return fail(format!("no {wanted:?}; the guest said\n{}", self.said)),
            }
        }
        Ok(&self.said)
    }

    /// Runs a command in the guest; returns how long it took.
    ///
    /// # Errors
    /// When it does not end.
    pub fn time(&mut self, command: &str) -> Result<Duration> {
        let start = Instant::now();
        self.said.clear();
        let line = format!("{command}; echo do''ne\n");
        self.stream
            .write_all(line.as_bytes())
            .doing("the serial port")?;
        self.wait_for("done")?;
        Ok(start.elapsed())
    }
}

fn connect(path: &Path) -> Result<UnixStream> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(path) {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            connected => return connected.doing(path.display()),
        }
    }
}
