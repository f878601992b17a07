//! A member of a lock directory: the text by which a process says that it holds a file.
//!
//! `machineID executionID lamport type [payload] [lc=checksum]`, blank separated, where executionID
//! is `pid-starttime(program)` and type `X` or `S`; 512 bytes with zeros behind the text. The
//! checksum is left out by us: it is made of a path, and a wrong one voids the lock.

use crate::error::escaped;
use crate::store::LockMode;
use crate::store::machine::{MachineIds, Process, is_alive};

/// Length of a member file.
pub(super) const MEMBER_LEN: usize = 512;

/// Whether the process that a lock names is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs on this machine.
    Lives,
    /// It ran on this machine and is gone: the lock may be removed.
    Gone,
    /// It is of another machine: nobody here can know.
    Elsewhere,
}

/// Who holds a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The machine, as written.
    pub machine: String,
    /// Number of the process there.
    pub pid: u32,
    /// When the process started, in that system's own measure.
    pub start: Option<u64>,
    /// Its program.
    pub program: String,
    /// Whether it holds the file alone or with others.
    pub mode: LockMode,
    /// Whether the process is there.
    pub life: Life,
    /// Decides who came first.
    pub(super) lamport: u64,
}

impl Holder {
    /// Returns the member that says `process`, of this machine, holds a file.
    pub(super) fn of(process: &Process, mode: LockMode, lamport: u64) -> Self {
        let bytes = MachineIds::this().own().map(|b| format!("{b:02x}"));
        Self {
            machine: format!("uuid={}", bytes.join("-")),
            pid: process.pid,
            start: Some(process.start),
            program: process.program.clone(),
            mode,
            life: Life::Lives,
            lamport,
        }
    }

    /// Reads a member file; `None` where the text is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = bytes.split(|&b| b == 0).next()?;
        let text = String::from_utf8_lossy(text);
        let (machine, rest) = text.trim().split_once(' ')?;
        let (execution, rest) = split_execution(rest)?;
        let mut words = rest.split_ascii_whitespace();
        let lamport = words.next()?.parse().ok()?;
        let mode = match words.next()? {
            "X" => LockMode::Exclusive,
            "S" => LockMode::Shared,
            _ => return None,
        };
        let (process, program) = execution.split_once('(').unwrap_or((execution, ""));
        let (pid, start) = process.split_once('-').unwrap_or((process, ""));
        let mut holder = Self {
            machine: machine.into(),
            pid: pid.parse().ok()?,
            start: start.parse().ok(),
            program: program.trim_end_matches(')').into(),
            mode,
            life: Life::Elsewhere,
            lamport,
        };
        holder.life = holder.look();
        Some(holder)
    }

    /// Returns the content of the member's file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"()".contains(c);
        let program: String = self
            .program
            .chars()
            .filter(|&c| plain(c))
            .take(64)
            .collect();
        let start = self.start.unwrap_or(0);
        let mode = match self.mode {
            LockMode::Exclusive => 'X',
            LockMode::Shared => 'S',
        };
        let text = format!(
            "{} {}-{start}({program}) {} {mode} {start}",
            self.machine, self.pid, self.lamport
        );
        let mut bytes = text.into_bytes();
        bytes.resize(MEMBER_LEN, 0);
        bytes
    }

    /// Tells whether it is a process of this machine with that number.
    pub fn is_local(&self, pid: u32) -> bool {
        self.life != Life::Elsewhere && self.pid == pid
    }

    /// Tells whether the two may not hold one file at a time.
    pub(super) fn excludes(&self, other: LockMode) -> bool {
        self.mode == LockMode::Exclusive || other == LockMode::Exclusive
    }

    fn look(&self) -> Life {
        match machine_bytes(&self.machine) {
            Some(id) if MachineIds::this().contains(id) => {
                if is_alive(self.pid, self.start) {
                    Life::Lives
                } else {
                    Life::Gone
                }
            }
            _ => Life::Elsewhere,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let program = match self.program.as_str() {
            "" => "a program".into(),
            program => escaped(program),
        };
        write!(f, "{program} (process {})", self.pid)?;
        match self.life {
            Life::Elsewhere => f.write_str(" on another machine"),
            Life::Gone => f.write_str(", which has ended"),
            Life::Lives => Ok(()),
        }
    }
}

/// The program's name may hold blanks; it ends with the parenthesis.
fn split_execution(text: &str) -> Option<(&str, &str)> {
    let first = text.find(' ')?;
    let end = match text.find('(') {
        Some(open) if open < first => open + text[open..].find(") ")? + 1,
        _ => first,
    };
    Some((&text[..end], &text[end + 1..]))
}

fn machine_bytes(machine: &str) -> Option<[u8; 16]> {
    let bytes = machine.strip_prefix("uuid=")?.split('-');
    let bytes: Option<Vec<u8>> = bytes.map(|b| u8::from_str_radix(b, 16).ok()).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = "uuid=03-08-22-20-2f-9c-9a-9d-6d-9f-9c-2f-9d-9a-6d-a0 \
        12036-133406902466291898(vmware-vmx.exe) 1 X 133406902466291898 lc=2328825538";

    #[test]
    fn member_of_another_machine_is_read() {
        let mut bytes = REAL.as_bytes().to_vec();
        bytes.resize(MEMBER_LEN, 0);
        let holder = Holder::parse(&bytes).unwrap();
        assert_eq!((holder.pid, holder.lamport), (12036, 1));
        assert_eq!(holder.program, "vmware-vmx.exe");
        assert_eq!(holder.start, Some(133_406_902_466_291_898));
        assert_eq!(holder.mode, LockMode::Exclusive);
        assert_eq!(holder.life, Life::Elsewhere);
        assert_eq!(
            holder.to_string(),
            "vmware-vmx.exe (process 12036) on another machine"
        );
    }

    #[test]
    fn our_own_member_reads_back() {
        let holder = Holder::of(&Process::this(), LockMode::Shared, 7);
        let bytes = holder.to_bytes();
        assert_eq!(bytes.len(), MEMBER_LEN);
        let again = Holder::parse(&bytes).unwrap();
        assert_eq!((again.life, again.lamport), (Life::Lives, 7));
        assert!(again.is_local(std::process::id()));
    }

    #[test]
    fn process_that_is_another_now_is_gone() {
        let mut process = Process::this();
        process.start += 1;
        let bytes = Holder::of(&process, LockMode::Exclusive, 1).to_bytes();
        assert_eq!(Holder::parse(&bytes).unwrap().life, Life::Gone);
    }

    #[test]
    fn program_names_may_hold_blanks() {
        let text = "uuid=00 12-3(VMware Fusion) 4 S [";
        let holder = Holder::parse(text.as_bytes()).unwrap();
        assert_eq!((&*holder.program, holder.lamport), ("VMware Fusion", 4));
        let bytes = holder.to_bytes();
        assert_eq!(Holder::parse(&bytes).unwrap().program, "VMwareFusion");
    }

    #[test]
    fn other_text_is_no_member() {
        for text in [
            "",
            "\0\0",
            "a b",
            "uuid=00 x-1(a) 1 X",
            "uuid=00 1-1(a) 1 Q",
            "é é é é",
        ] {
            assert_eq!(Holder::parse(text.as_bytes()), None, "{text}");
        }
    }
}
