//! The flags and commands of `vmrun`: one table, from which parsing and help come.

use std::ffi::OsStr;

use super::call::{Answer, Call};
use super::failure::{Failure, NOT_SUPPORTED};
use super::{
    clone, delete_snapshot, delete_vm, list, list_snapshots, revert, snapshot, start, stop,
};

/// A flag, which stands before the command and takes the next word.
pub(super) struct Flag {
    /// The flag with its dash.
    pub(super) word: &'static str,
    /// Its value, for the help.
    pub(super) value: &'static str,
    /// What it is for, for the help.
    pub(super) help: &'static str,
}

/// A group of commands.
pub(super) struct Section {
    /// Its heading in the help.
    pub(super) title: &'static str,
    /// Its commands, in the order of the help.
    pub(super) commands: &'static [Command],
}

/// A command. Its name is matched without regard to case; no other spelling is in use.
pub(super) struct Command {
    /// Its name as documented.
    pub(super) name: &'static str,
    /// Its words, those in brackets optional.
    pub(super) parameters: &'static [&'static str],
    /// What it does, for the help.
    pub(super) help: &'static str,
    /// Whether it does that here.
    pub(super) ready: bool,
    /// Does it.
    pub(super) run: fn(&Call) -> Answer,
}

impl Command {
    /// Returns the names of the words that must be there.
    pub(super) fn mandatory(&self) -> impl Iterator<Item = &'static str> {
        let parameters = self.parameters.iter().copied();
        parameters.take_while(|parameter| !parameter.starts_with('['))
    }
}

/// Returns the command of this name.
pub(super) fn find(name: &OsStr) -> Option<&'static Command> {
    let mut commands = SECTIONS.iter().flat_map(|section| section.commands);
    commands.find(|command| name.eq_ignore_ascii_case(command.name))
}

const fn ready(
    name: &'static str,
    parameters: &'static [&'static str],
    help: &'static str,
    run: fn(&Call) -> Answer,
) -> Command {
    Command {
        name,
        parameters,
        help,
        ready: true,
        run,
    }
}

/// A command that the table knows but that is not done here.
const fn later(
    name: &'static str,
    parameters: &'static [&'static str],
    help: &'static str,
) -> Command {
    Command {
        name,
        parameters,
        help,
        ready: false,
        run: refuse,
    }
}

fn refuse(_: &Call) -> Answer {
    Err(Failure::said(NOT_SUPPORTED))
}

/// There is no inventory here: nothing to do is done well.
fn accept(_: &Call) -> Answer {
    Ok(Default::default())
}

const fn flag(word: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { word, value, help }
}

/// The flags.
pub(super) static FLAGS: &[Flag] = &[
    flag("-T", "ws|player|fusion", "product; all are served alike"),
    flag("-h", "HOST", "host; only this machine is served"),
    flag("-P", "PORT", "port of the host; not needed"),
    flag("-u", "NAME", "account on the host; not needed"),
    flag("-p", "PASSWORD", "its password; not needed"),
    flag("-vp", "PASSWORD", "password of an encrypted VM"),
    flag("-gu", "NAME", "account in the guest"),
    flag("-gp", "PASSWORD", "its password"),
];

/// The commands.
pub(super) static SECTIONS: &[Section] = &[
    Section {
        title: "POWER COMMANDS",
        commands: &[
            ready(
                "start",
                &["VMX", "[gui|nogui]"],
                "Power on or resume a VM",
                start::run,
            ),
            ready("stop", &["VMX", "[hard|soft]"], "Power off a VM", stop::run),
            later("reset", &["VMX", "[hard|soft]"], "Reboot a VM"),
            later(
                "suspend",
                &["VMX", "[hard|soft]"],
                "Save a VM's memory and stop it",
            ),
            later("pause", &["VMX"], "Halt the processors of a VM"),
            later("unpause", &["VMX"], "Let a paused VM go on"),
        ],
    },
    Section {
        title: "SNAPSHOT COMMANDS",
        commands: &[
            ready(
                "listSnapshots",
                &["VMX", "[showTree]"],
                "Print the snapshots of a VM",
                list_snapshots::run,
            ),
            ready(
                "snapshot",
                &["VMX", "NAME"],
                "Take a snapshot",
                snapshot::run,
            ),
            ready(
                "deleteSnapshot",
                &["VMX", "NAME", "[andDeleteChildren]"],
                "Remove a snapshot; the VM keeps its state",
                delete_snapshot::run,
            ),
            ready(
                "revertToSnapshot",
                &["VMX", "NAME"],
                "Put a VM back to a snapshot",
                revert::run,
            ),
        ],
    },
    Section {
        title: "NETWORKADAPTER COMMANDS",
        commands: &[
            later(
                "listNetworkAdapters",
                &["VMX"],
                "Print the network adapters of a VM",
            ),
            later(
                "addNetworkAdapter",
                &["VMX", "TYPE", "[HOSTNETWORK]"],
                "Give a VM another network adapter",
            ),
            later(
                "setNetworkAdapter",
                &["VMX", "INDEX", "TYPE", "[HOSTNETWORK]"],
                "Connect a network adapter elsewhere",
            ),
            later(
                "deleteNetworkAdapter",
                &["VMX", "INDEX"],
                "Take a network adapter out",
            ),
        ],
    },
    Section {
        title: "HOST NETWORK COMMANDS",
        commands: &[
            later("listHostNetworks", &[], "Print the networks of this host"),
            later(
                "listPortForwardings",
                &["HOSTNETWORK"],
                "Print the forwarded ports",
            ),
            later(
                "setPortForwarding",
                &[
                    "HOSTNETWORK",
                    "PROTOCOL",
                    "HOSTPORT",
                    "GUESTIP",
                    "GUESTPORT",
                    "[DESCRIPTION]",
                ],
                "Forward a port of the host into a guest",
            ),
            later(
                "deletePortForwarding",
                &["HOSTNETWORK", "PROTOCOL", "HOSTPORT"],
                "Forward a port no more",
            ),
        ],
    },
    Section {
        title: "GUEST OS COMMANDS",
        commands: &[
            later(
                "runProgramInGuest",
                &[
                    "VMX",
                    "[-noWait]",
                    "[-activeWindow]",
                    "[-interactive]",
                    "PROGRAM",
                    "[ARGUMENTS]",
                ],
                "Run a program in the guest",
            ),
            later(
                "fileExistsInGuest",
                &["VMX", "PATH"],
                "Tell whether a file is in the guest",
            ),
            later(
                "directoryExistsInGuest",
                &["VMX", "PATH"],
                "Tell whether a folder is in the guest",
            ),
            later(
                "setSharedFolderState",
                &["VMX", "SHARE", "HOSTPATH", "writable|readonly"],
                "Change a shared folder",
            ),
            later(
                "addSharedFolder",
                &["VMX", "SHARE", "HOSTPATH"],
                "Share a folder of the host",
            ),
            later(
                "removeSharedFolder",
                &["VMX", "SHARE"],
                "Share a folder no more",
            ),
            later(
                "enableSharedFolders",
                &["VMX", "[runtime]"],
                "Turn folder sharing on",
            ),
            later(
                "disableSharedFolders",
                &["VMX", "[runtime]"],
                "Turn folder sharing off",
            ),
            later(
                "listProcessesInGuest",
                &["VMX"],
                "Print what runs in the guest",
            ),
            later(
                "killProcessInGuest",
                &["VMX", "PID"],
                "End a process of the guest",
            ),
            later(
                "runScriptInGuest",
                &[
                    "VMX",
                    "[-noWait]",
                    "[-activeWindow]",
                    "[-interactive]",
                    "INTERPRETER",
                    "TEXT",
                ],
                "Run a script in the guest",
            ),
            later(
                "deleteFileInGuest",
                &["VMX", "PATH"],
                "Delete a file of the guest",
            ),
            later(
                "createDirectoryInGuest",
                &["VMX", "PATH"],
                "Make a folder in the guest",
            ),
            later(
                "deleteDirectoryInGuest",
                &["VMX", "PATH"],
                "Delete a folder of the guest",
            ),
            later(
                "CreateTempfileInGuest",
                &["VMX"],
                "Make a temporary file in the guest",
            ),
            later(
                "listDirectoryInGuest",
                &["VMX", "PATH"],
                "Print what is in a folder of the guest",
            ),
            later(
                "CopyFileFromHostToGuest",
                &["VMX", "HOSTPATH", "GUESTPATH"],
                "Copy a file into the guest",
            ),
            later(
                "CopyFileFromGuestToHost",
                &["VMX", "GUESTPATH", "HOSTPATH"],
                "Copy a file out of the guest",
            ),
            later(
                "renameFileInGuest",
                &["VMX", "OLD", "NEW"],
                "Rename a file of the guest",
            ),
            later(
                "typeKeystrokesInGuest",
                &["VMX", "KEYS"],
                "Type into the guest",
            ),
            later("connectNamedDevice", &["VMX", "DEVICE"], "Plug a device in"),
            later(
                "disconnectNamedDevice",
                &["VMX", "DEVICE"],
                "Unplug a device",
            ),
            later(
                "captureScreen",
                &["VMX", "HOSTPATH"],
                "Save the guest's screen as a PNG",
            ),
            later(
                "writeVariable",
                &["VMX", "[runtimeConfig|guestEnv|guestVar]", "NAME", "VALUE"],
                "Set a variable of the VM",
            ),
            later(
                "readVariable",
                &["VMX", "[runtimeConfig|guestEnv|guestVar]", "NAME"],
                "Print a variable of the VM",
            ),
            later(
                "getGuestIPAddress",
                &["VMX", "[-wait]"],
                "Print the guest's IP address",
            ),
        ],
    },
    Section {
        title: "GENERAL COMMANDS",
        commands: &[
            ready("list", &[], "Print the running VMs", list::run),
            ready(
                "register",
                &["VMX"],
                "Do nothing: there is no inventory",
                accept,
            ),
            ready(
                "unregister",
                &["VMX"],
                "Do nothing: there is no inventory",
                accept,
            ),
            later("listRegisteredVM", &[], "Print the VMs of the inventory"),
            later(
                "upgradevm",
                &["VMX"],
                "Bring a VM to the latest hardware version",
            ),
            later("installTools", &["VMX"], "Put the Tools CD into a VM"),
            later(
                "checkToolsState",
                &["VMX"],
                "Tell whether the guest's Tools run",
            ),
            ready(
                "deleteVM",
                &["VMX"],
                "Delete a VM with its disks",
                delete_vm::run,
            ),
            ready(
                "clone",
                &[
                    "VMX",
                    "DESTVMX",
                    "full|linked",
                    "[-snapshot=NAME]",
                    "[-cloneName=NAME]",
                ],
                "Clone a VM, or a snapshot of it",
                clone::run,
            ),
        ],
    },
    Section {
        title: "RECORD AND PROBE COMMANDS",
        commands: &[
            later("beginRecording", &["VMX", "NAME"], "Removed by VMware"),
            later("endRecording", &["VMX"], "Removed by VMware"),
            later("beginReplay", &["VMX", "NAME"], "Removed by VMware"),
            later("endReplay", &["VMX"], "Removed by VMware"),
            later("vprobeVersion", &["VMX"], "Removed by VMware"),
            later("vprobeLoad", &["VMX", "TEXT"], "Removed by VMware"),
            later("vprobeLoadFile", &["VMX", "PATH"], "Removed by VMware"),
            later("vprobeReset", &["VMX"], "Removed by VMware"),
            later("vprobeListProbes", &["VMX"], "Removed by VMware"),
            later("vprobeListGlobals", &["VMX"], "Removed by VMware"),
        ],
    },
    Section {
        title: "TEMPLATE VM COMMANDS",
        commands: &[later("downloadPhotonVM", &["PATH"], "Not available")],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_any_case() {
        for name in [
            "LISTSNAPSHOTS",
            "createTempFileInGuest",
            "installtools",
            "copyFileFromHostToGuest",
        ] {
            assert!(find(OsStr::new(name)).is_some(), "{name}");
        }
        assert!(find(OsStr::new("lists")).is_none());
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<String> = SECTIONS
            .iter()
            .flat_map(|section| section.commands)
            .map(|command| command.name.to_lowercase())
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn optional_words_are_not_mandatory() {
        let clone = find(OsStr::new("clone")).unwrap();
        assert_eq!(
            clone.mandatory().collect::<Vec<_>>(),
            ["VMX", "DESTVMX", "full|linked"]
        );
    }
}
