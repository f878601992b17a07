//! The flags and commands of `vmrun`: one table, from which parsing and help come.

use std::ffi::OsStr;

use super::call::{Answer, Call};
use super::failure::{Failure, NOT_SUPPORTED};
use super::{
    adapters, address, clone, delete_snapshot, delete_vm, devices, guest, list, list_snapshots,
    networks, power, program, registered, revert, shared_folders, snapshot, start, stop, tools,
    variables,
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

/// A command that the table knows but that is not done here, and why.
const fn unavailable(
    name: &'static str,
    parameters: &'static [&'static str],
    help: &'static str,
    run: fn(&Call) -> Answer,
) -> Command {
    Command {
        ready: false,
        ..ready(name, parameters, help, run)
    }
}

/// A command that VMware's own products do no longer have.
const fn removed(name: &'static str, parameters: &'static [&'static str]) -> Command {
    unavailable(name, parameters, "Removed by VMware", refuse)
}

fn refuse(_: &Call) -> Answer {
    Err(Failure::said(NOT_SUPPORTED))
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
    flag(
        "--timeout",
        "SECONDS",
        "give up after that time; VMware's has no such flag",
    ),
    flag(
        "--completions",
        "bash|zsh|fish",
        "print what a shell completes by; nor this",
    ),
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
            ready(
                "reset",
                &["VMX", "[hard|soft]"],
                "Reboot a VM",
                power::reset,
            ),
            ready(
                "suspend",
                &["VMX", "[hard|soft]"],
                "Save a VM's memory and stop it",
                power::suspend,
            ),
            ready(
                "pause",
                &["VMX"],
                "Halt the processors of a VM",
                power::pause,
            ),
            ready("unpause", &["VMX"], "Let a paused VM go on", power::unpause),
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
            ready(
                "listNetworkAdapters",
                &["VMX"],
                "Print the network adapters of a VM",
                adapters::list,
            ),
            ready(
                "addNetworkAdapter",
                &["VMX", "TYPE", "[HOSTNETWORK]"],
                "Give a VM another network adapter",
                adapters::add,
            ),
            ready(
                "setNetworkAdapter",
                &["VMX", "INDEX", "TYPE", "[HOSTNETWORK]"],
                "Connect a network adapter elsewhere",
                adapters::set,
            ),
            ready(
                "deleteNetworkAdapter",
                &["VMX", "INDEX"],
                "Take a network adapter out",
                adapters::delete,
            ),
        ],
    },
    Section {
        title: "HOST NETWORK COMMANDS",
        commands: &[
            ready(
                "listHostNetworks",
                &[],
                "Print the networks of this host",
                networks::list,
            ),
            ready(
                "listPortForwardings",
                &["HOSTNETWORK"],
                "Print the forwarded ports",
                networks::list_forwardings,
            ),
            unavailable(
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
                networks::refuse_forwarding,
            ),
            unavailable(
                "deletePortForwarding",
                &["HOSTNETWORK", "PROTOCOL", "HOSTPORT"],
                "Forward a port no more",
                networks::refuse_forwarding,
            ),
        ],
    },
    Section {
        title: "GUEST OS COMMANDS",
        commands: &[
            ready(
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
                program::run,
            ),
            ready(
                "fileExistsInGuest",
                &["VMX", "PATH"],
                "Tell whether a file is in the guest",
                guest::file_exists,
            ),
            ready(
                "directoryExistsInGuest",
                &["VMX", "PATH"],
                "Tell whether a folder is in the guest",
                guest::directory_exists,
            ),
            ready(
                "setSharedFolderState",
                &["VMX", "SHARE", "HOSTPATH", "writable|readonly"],
                "Change a shared folder",
                shared_folders::set,
            ),
            ready(
                "addSharedFolder",
                &["VMX", "SHARE", "HOSTPATH"],
                "Share a folder of the host",
                shared_folders::add,
            ),
            ready(
                "removeSharedFolder",
                &["VMX", "SHARE"],
                "Share a folder no more",
                shared_folders::remove,
            ),
            ready(
                "enableSharedFolders",
                &["VMX", "[runtime]"],
                "Turn folder sharing on",
                shared_folders::enable,
            ),
            ready(
                "disableSharedFolders",
                &["VMX", "[runtime]"],
                "Turn folder sharing off",
                shared_folders::disable,
            ),
            ready(
                "listProcessesInGuest",
                &["VMX"],
                "Print what runs in the guest",
                guest::list_processes,
            ),
            ready(
                "killProcessInGuest",
                &["VMX", "PID"],
                "End a process of the guest",
                guest::kill_process,
            ),
            ready(
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
                program::script,
            ),
            ready(
                "deleteFileInGuest",
                &["VMX", "PATH"],
                "Delete a file of the guest",
                guest::delete_file,
            ),
            ready(
                "createDirectoryInGuest",
                &["VMX", "PATH"],
                "Make a folder in the guest",
                guest::create_directory,
            ),
            ready(
                "deleteDirectoryInGuest",
                &["VMX", "PATH"],
                "Delete a folder of the guest",
                guest::delete_directory,
            ),
            ready(
                "CreateTempfileInGuest",
                &["VMX"],
                "Make a temporary file in the guest",
                guest::create_temp_file,
            ),
            ready(
                "listDirectoryInGuest",
                &["VMX", "PATH"],
                "Print what is in a folder of the guest",
                guest::list_directory,
            ),
            ready(
                "CopyFileFromHostToGuest",
                &["VMX", "HOSTPATH", "GUESTPATH"],
                "Copy a file into the guest",
                guest::copy_in,
            ),
            ready(
                "CopyFileFromGuestToHost",
                &["VMX", "GUESTPATH", "HOSTPATH"],
                "Copy a file out of the guest",
                guest::copy_out,
            ),
            ready(
                "renameFileInGuest",
                &["VMX", "OLD", "NEW"],
                "Rename a file of the guest",
                guest::rename,
            ),
            ready(
                "typeKeystrokesInGuest",
                &["VMX", "KEYS"],
                "Type into the guest",
                devices::type_keys,
            ),
            ready(
                "connectNamedDevice",
                &["VMX", "DEVICE"],
                "Plug a device in",
                devices::connect,
            ),
            ready(
                "disconnectNamedDevice",
                &["VMX", "DEVICE"],
                "Unplug a device",
                devices::disconnect,
            ),
            ready(
                "captureScreen",
                &["VMX", "HOSTPATH"],
                "Save the guest's screen as a PNG",
                guest::capture_screen,
            ),
            ready(
                "writeVariable",
                &["VMX", "[runtimeConfig|guestEnv|guestVar]", "NAME", "VALUE"],
                "Set a variable of the VM",
                variables::write,
            ),
            ready(
                "readVariable",
                &["VMX", "[runtimeConfig|guestEnv|guestVar]", "NAME"],
                "Print a variable of the VM",
                variables::read,
            ),
            ready(
                "getGuestIPAddress",
                &["VMX", "[-wait]"],
                "Print the guest's IP address",
                address::run,
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
                "Put a VM into the inventory",
                registered::register,
            ),
            ready(
                "unregister",
                &["VMX"],
                "Take a VM out of the inventory",
                registered::unregister,
            ),
            ready(
                "listRegisteredVM",
                &[],
                "Print the VMs of the inventory",
                registered::list,
            ),
            ready(
                "upgradevm",
                &["VMX"],
                "Bring a VM to the latest hardware version",
                tools::upgrade_vm,
            ),
            ready(
                "installTools",
                &["VMX"],
                "Put the Tools CD into a VM",
                tools::install,
            ),
            ready(
                "checkToolsState",
                &["VMX"],
                "Tell whether the guest's Tools run",
                tools::check,
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
            removed("beginRecording", &["VMX", "NAME"]),
            removed("endRecording", &["VMX"]),
            removed("beginReplay", &["VMX", "NAME"]),
            removed("endReplay", &["VMX"]),
            removed("vprobeVersion", &["VMX"]),
            removed("vprobeLoad", &["VMX", "TEXT"]),
            removed("vprobeLoadFile", &["VMX", "PATH"]),
            removed("vprobeReset", &["VMX"]),
            removed("vprobeListProbes", &["VMX"]),
            removed("vprobeListGlobals", &["VMX"]),
        ],
    },
    Section {
        title: "TEMPLATE VM COMMANDS",
        commands: &[unavailable(
            "downloadPhotonVM",
            &["PATH"],
            "Not available",
            refuse,
        )],
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
