//! How a VM's adapter is connected.
//!
//! To a bridge, by a tap that QEMU's own helper makes for every user that root's `bridge.conf` lets;
//! else by QEMU's user mode, through which nothing reaches the guest.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::record::networks;
use super::{NetworkKind, tool};
use crate::error::{Error, Kind, Result, escaped};
use crate::store::{Local, Store};
use crate::vm::Nic;

/// The device that every tap comes from.
const TUN: &str = "/dev/net/tun";

/// Where distributions put QEMU's helper.
const HELPERS: [&str; 3] = [
    "/usr/lib/qemu/qemu-bridge-helper",
    "/usr/libexec/qemu-bridge-helper",
    "/usr/local/libexec/qemu-bridge-helper",
];

/// What an adapter is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attachment {
    /// A bridge of this host.
    Bridge(String),
    /// QEMU's user mode.
    User {
        /// The guest does not reach out either: it is not meant to.
        isolated: bool,
    },
}

impl Attachment {
    /// Returns what `nic` is connected to.
    ///
    /// # Errors
    /// `CannotStart` where its network is set up and its bridge is gone.
    pub(crate) fn of(nic: &Nic) -> Result<Self> {
        let Some(name) = bridge_of(nic) else {
            return Ok(Self::fallback(nic, None));
        };
        if Local.exists(&Path::new("/sys/class/net").join(&name).join("bridge")) {
            return Ok(Self::Bridge(name));
        }
        if networks()?.iter().all(|network| network.name() != name) {
            return Ok(Self::fallback(nic, Some(&name)));
        }
        let text = format!("{}: the bridge of the network {name} is gone", nic.device());
        let hint = "let root bring it back: replix network setup";
        Err(Error::new(Kind::CannotStart, text).hint(hint))
    }

    fn fallback(nic: &Nic, name: Option<&str>) -> Self {
        let reaches_out = nic.connection == "bridged" || name == Some(NetworkKind::Nat.network());
        Self::User {
            isolated: !reaches_out,
        }
    }
}

/// Whether an adapter is on a network of this host, through which its guest is reached.
pub(crate) fn is_reachable(nic: &Nic) -> bool {
    nic.start_connected && matches!(Attachment::of(nic), Ok(Attachment::Bridge(_)))
}

/// The bridge that an adapter names, or that its kind of connection has.
fn bridge_of(nic: &Nic) -> Option<String> {
    let named = nic.network.as_deref();
    let name = match nic.connection.as_str() {
        "nat" => NetworkKind::Nat.network(),
        "hostonly" => NetworkKind::HostOnly.network(),
        "custom" => named?,
        "bridged" => named.unwrap_or("vmnet0"),
        _ => return None,
    };
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    is_interface(name).then(|| name.to_owned())
}

/// Whether `name` can be an interface's; a configuration may come from a stranger.
fn is_interface(name: &str) -> bool {
    let fits = (1..=15).contains(&name.len()) && !name.starts_with(['-', '.']);
    fits && name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Returns QEMU's helper.
///
/// # Errors
/// `NoHypervisor`.
pub(super) fn helper() -> Result<PathBuf> {
    let found = HELPERS
        .iter()
        .map(Path::new)
        .find(|path| Local.exists(path));
    found.map(Path::to_path_buf).ok_or_else(|| {
        let text = "QEMU's bridge helper is not installed";
        Error::new(Kind::NoHypervisor, text).hint("install the package qemu-system-common")
    })
}

/// Makes a tap on `bridge`. It lives as long as somebody has it open.
///
/// # Errors
/// `NoHypervisor`; `CannotStart` where this user may not use the bridge.
pub(crate) fn tap(bridge: &str) -> Result<OwnedFd> {
    let helper = helper()?;
    let (ours, theirs) = UnixStream::pair().map_err(|e| Error::io("connect to", &helper, e))?;
    // The helper sends the tap through its descriptor 0.
    let output = tool::command(&helper.to_string_lossy(), &["--fd=0"])
        .arg(format!("--br={bridge}"))
        .stdin(OwnedFd::from(theirs))
        .output()
        .map_err(|e| Error::io("start", &helper, e))?;
    receive(&ours).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = escaped(said.lines().last().unwrap_or("no reason given").trim());
        let text = format!("the network {bridge} cannot be used: {said}");
        Error::new(Kind::CannotStart, text).hint(cure(bridge, &said))
    })
}

/// What helps where the helper has `said` why not.
fn cure(bridge: &str, said: &str) -> String {
    if said.contains(TUN) {
        // The helper opens it with its caller's rights; udev gives them to all.
        return format!("let root open it to users, as udev does: chmod 666 {TUN}");
    }
    match NetworkKind::ALL.iter().any(|kind| kind.network() == bridge) {
        true => "let root repair it: replix network setup".into(),
        false => format!("let root add \"allow {bridge}\" to /etc/qemu/bridge.conf"),
    }
}

/// Receives a descriptor, if one was sent.
fn receive(socket: &UnixStream) -> Option<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let parts = &mut [IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(socket, parts, &mut control, flags).ok()?;
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::VmConfig;

    fn nic(lines: &str) -> Nic {
        let lines = format!(
            "config.version = \"8\"\n{}",
            lines.replace('_', "ethernet0.")
        );
        VmConfig::parse(lines.as_bytes()).unwrap().nic(0)
    }

    #[test]
    fn cure_fits_the_cause() {
        let closed = "failed to open /dev/net/tun: Permission denied";
        assert!(cure("vmnet8", closed).contains("chmod 666 /dev/net/tun"));
        let denied = "access denied by acl file";
        assert!(cure("vmnet8", denied).contains("replix network setup"));
        assert!(cure("br0", denied).contains("allow br0"));
    }

    #[test]
    fn connection_names_its_bridge() {
        for (lines, bridge) in [
            ("_connectionType = \"nat\"\n", Some("vmnet8")),
            ("_connectionType = \"hostonly\"\n", Some("vmnet1")),
            (
                "_connectionType = \"custom\"\n_vnet = \"/dev/vmnet3\"\n",
                Some("vmnet3"),
            ),
            (
                "_connectionType = \"bridged\"\n_vnet = \"br0\"\n",
                Some("br0"),
            ),
            ("", Some("vmnet0")),
            ("_connectionType = \"custom\"\n", None),
            ("_connectionType = \"custom\"\n_vnet = \"../x\"\n", None),
            ("_connectionType = \"custom\"\n_vnet = \"a,b\"\n", None),
            ("_connectionType = \"pvn\"\n", None),
        ] {
            assert_eq!(bridge_of(&nic(lines)).as_deref(), bridge, "{lines}");
        }
    }

    #[test]
    fn guests_meant_to_be_alone_stay_so() {
        let isolated = |lines: &str| {
            let nic = nic(lines);
            Attachment::fallback(&nic, bridge_of(&nic).as_deref())
                == Attachment::User { isolated: true }
        };
        assert!(!isolated("_connectionType = \"nat\"\n") && !isolated(""));
        assert!(!isolated(
            "_connectionType = \"custom\"\n_vnet = \"vmnet8\"\n"
        ));
        assert!(isolated("_connectionType = \"hostonly\"\n"));
        assert!(isolated(
            "_connectionType = \"custom\"\n_vnet = \"vmnet3\"\n"
        ));
    }
}
