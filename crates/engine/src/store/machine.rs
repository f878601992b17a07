//! Facts about this machine and its processes, of which locks in files are made.

use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The namespace in which a machine's first process lives; in another, numbers of processes mean
/// something else.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A process of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did: with the number, it is unique.
    pub start: u64,
    /// The name of its program.
    pub program: String,
}

impl Process {
    /// Returns the process with that number, if there is one and we may see it.
    pub fn find(pid: u32) -> Option<Self> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        parse_stat(&String::from_utf8_lossy(&stat))
    }

    /// Returns this process.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self::find(pid).unwrap_or(Self {
            pid,
            start: 0,
            program: "replix".into(),
        })
    }
}

/// Tells whether a process lives; if `start` is known, whether it is still the same one.
pub fn is_alive(pid: u32, start: Option<u64>) -> bool {
    let Some(number) = i32::try_from(pid).ok().filter(|&n| n > 0) else {
        return false;
    };
    match Process::find(pid) {
        Some(process) => start.is_none_or(|start| start == process.start),
        // Some systems hide the processes of others. An ended one is hidden by nobody.
        None => match kill(Pid::from_raw(number), None) {
            Ok(()) => !is_ended(pid),
            Err(error) => error == Errno::EPERM,
        },
    }
}

/// Returns a name for the machine's present run, another one after each boot; empty where the system
/// has none.
pub fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_string()
}

/// Tells whether a process has ended and only waits for its parent to take notice.
fn is_ended(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| matches!(after_name(&stat), Some(rest) if rest.starts_with(['Z', 'X'])))
}

fn after_name(stat: &str) -> Option<&str> {
    stat.rsplit_once(") ").map(|(_, rest)| rest)
}

/// Reads "1234 (name) S 1 ..."; the name may hold anything. An ended process is none.
fn parse_stat(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (program, rest) = rest.rsplit_once(") ")?;
    if rest.starts_with(['Z', 'X']) {
        return None;
    }
    // Field 22 of the whole line; the state, field 3, is the first of the rest.
    let start = rest.split(' ').nth(22 - 3)?;
    Some(Process {
        pid: pid.parse().ok()?,
        start: start.parse().ok()?,
        program: program.into(),
    })
}

/// The names that this machine has in locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineIds {
    /// The one in locks of ours: the same for every user.
    own: [u8; 16],
    /// Those under which VMware's products may know it, as far as we may see them.
    others: Vec<[u8; 16]>,
}

impl MachineIds {
    /// Returns this machine's.
    pub fn this() -> &'static Self {
        static IDS: OnceLock<MachineIds> = OnceLock::new();
        IDS.get_or_init(Self::read)
    }

    /// Returns the name that our locks have.
    pub fn own(&self) -> [u8; 16] {
        self.own
    }

    /// Tells whether a lock with that name is one of this machine.
    pub fn contains(&self, id: [u8; 16]) -> bool {
        self.own == id || self.others.contains(&id)
    }

    fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).ok();
        let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .into_iter()
            .chain(["/proc/sys/kernel/random/boot_id"])
            .find_map(|path| text(path).filter(|id| !id.trim().is_empty()));
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let first = namespace == Path::new(FIRST_PID_NAMESPACE);
        let board = text("/sys/class/dmi/id/product_uuid").filter(|_| first);
        let space = if first {
            "".into()
        } else {
            namespace.to_string_lossy()
        };
        Self {
            own: digest(&format!("{}{space}", id.unwrap_or_default().trim())),
            others: board.map_or(Vec::new(), |board| board_ids(&board)),
        }
    }
}

/// The id of a machine is not to be shown around: it goes through a digest (FNV-1a, twice).
fn digest(id: &str) -> [u8; 16] {
    let half = |salt: &str| {
        let bytes = salt.bytes().chain(id.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let mut out = [0; 16];
    out[..8].copy_from_slice(&half("replix lock, first half ").to_be_bytes());
    out[8..].copy_from_slice(&half("replix lock, second half ").to_be_bytes());
    out
}

/// The board's uuid in both orders of bytes: firmware and Linux do not agree on one.
fn board_ids(text: &str) -> Vec<[u8; 16]> {
    let hex: Vec<u8> = text
        .chars()
        .filter_map(|c| Some(c.to_digit(16)? as u8))
        .collect();
    let bytes: Vec<u8> = hex.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect();
    let Ok(plain) = <[u8; 16]>::try_from(bytes) else {
        return Vec::new();
    };
    let mut swapped = plain;
    swapped[..4].reverse();
    swapped[4..6].reverse();
    swapped[6..8].reverse();
    vec![plain, swapped]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_line_is_read_whatever_its_name() {
        let rest: Vec<String> = (4..30).map(|n| n.to_string()).collect();
        let line = format!("77 (a) b (c) S {}", rest.join(" "));
        let process = parse_stat(&line).unwrap();
        assert_eq!((process.pid, process.start), (77, 22));
        assert_eq!(process.program, "a) b (c");
        assert_eq!(parse_stat(&line.replace(" S ", " Z ")), None);
        assert_eq!(parse_stat("77 (a"), None);
    }

    #[test]
    fn this_process_lives_and_is_the_same() {
        let this = Process::this();
        assert!(is_alive(this.pid, None) && is_alive(this.pid, Some(this.start)));
        assert!(!is_alive(this.pid, Some(this.start + 1)));
        assert!(!is_alive(0, None) && !is_alive(u32::MAX, None));
    }

    #[test]
    fn ended_process_does_not_live() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(!is_alive(pid, None));
    }

    #[test]
    fn machine_has_a_stable_name() {
        let ids = MachineIds::this();
        assert!(ids.contains(ids.own()) && !ids.contains([0; 16]));
        assert_eq!(digest("x"), digest("x"));
        assert_ne!(digest("x"), digest("y"));
    }

    #[test]
    fn board_is_known_in_both_orders() {
        let ids = board_ids("03082220-2f9c-9a9d-6d9f-9c2f9d9a6da0\n");
        assert_eq!(ids[0][..4], [0x03, 0x08, 0x22, 0x20]);
        assert_eq!(
            ids[1][..8],
            [0x20, 0x22, 0x08, 0x03, 0x9c, 0x2f, 0x9d, 0x9a]
        );
        assert!(board_ids("nothing").is_empty());
    }
}
