//! The guest's operating system: programs, files and folders that are shared, spoken to through an
//! agent inside of it.

#[cfg(feature = "local")]
mod account;
#[cfg(feature = "local")]
mod copy;
#[cfg(feature = "local")]
mod environment;
#[cfg(feature = "local")]
mod files;
#[cfg(any(all(test, feature = "local"), feature = "fuzz"))]
mod fuzzed;
#[cfg(feature = "local")]
mod local;
#[cfg(feature = "local")]
mod password;
#[cfg(feature = "local")]
mod process;
#[cfg(feature = "local")]
mod refusal;
#[cfg(feature = "local")]
mod session;
#[cfg(feature = "local")]
mod shared_folders;
#[cfg(feature = "local")]
mod tools;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(any(all(test, feature = "local"), feature = "fuzz"))]
pub(crate) use fuzzed::read_answers;
#[cfg(feature = "local")]
pub(crate) use local::call;

/// An account of the guest, in whose name operations are done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Demand that this user sits at the guest's console.
    pub interactive: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("interactive", &self.interactive)
            .finish_non_exhaustive()
    }
}

/// Something to be done in the guest. Paths of the guest are texts in the guest's own convention.
///
/// Source: the guest operations of the VIX C API, one variant each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestCall {
    /// Waits until the agent answers.
    WaitForTools {
        /// How long, in seconds; `None` waits for ever.
        seconds: Option<u32>,
    },
    /// Tells whether the agent answers; answered by [`GuestAnswer::Exists`].
    CheckTools,
    /// Asks the agent for the guest's first IPv4 address that others can reach; answered by
    /// [`GuestAnswer::Text`], empty where the guest has none yet.
    IpAddress,
    /// Checks the login that comes with the call.
    Login,
    /// Forgets the login that comes with the call.
    Logout,
    /// Runs a program; answered by [`GuestAnswer::Process`].
    RunProgram {
        /// The program's path.
        program: String,
        /// Its arguments, as one text.
        arguments: String,
        /// Do not wait for its end.
        return_immediately: bool,
        /// Bring its window to the front.
        activate_window: bool,
    },
    /// Runs a script; answered by [`GuestAnswer::Process`].
    RunScript {
        /// The program that reads the script; `None` is the guest's own command interpreter.
        interpreter: Option<String>,
        /// The script.
        text: String,
        /// Do not wait for its end.
        return_immediately: bool,
        /// Bring its window to the front.
        activate_window: bool,
    },
    /// Lists the processes; answered by [`GuestAnswer::Processes`].
    ListProcesses,
    /// Ends a process.
    KillProcess {
        /// Its number.
        pid: u64,
    },
    /// Copies a file or folder of the host into the guest.
    CopyToGuest {
        /// The file or folder of the host.
        from: PathBuf,
        /// Where it goes in the guest.
        to: String,
    },
    /// Copies a file or folder of the guest to the host.
    CopyFromGuest {
        /// The file or folder of the guest.
        from: String,
        /// Where it goes on the host.
        to: PathBuf,
    },
    /// Deletes a file.
    DeleteFile {
        /// Its path.
        path: String,
    },
    /// Tells whether a regular file is there; answered by [`GuestAnswer::Exists`].
    FileExists {
        /// Its path.
        path: String,
    },
    /// Renames a file or folder.
    Rename {
        /// Its path.
        from: String,
        /// Its new path.
        to: String,
    },
    /// Makes an empty file with a name of its own; answered by [`GuestAnswer::Text`], its path.
    CreateTempFile,
    /// Describes a file or folder; answered by [`GuestAnswer::File`].
    FileInfo {
        /// Its path.
        path: String,
    },
    /// Lists a folder; answered by [`GuestAnswer::Directory`].
    ListDirectory {
        /// Its path.
        path: String,
    },
    /// Makes a folder, and those above it that are missing.
    CreateDirectory {
        /// Its path.
        path: String,
    },
    /// Deletes a folder with all that is in it.
    DeleteDirectory {
        /// Its path.
        path: String,
    },
    /// Tells whether a folder is there; answered by [`GuestAnswer::Exists`].
    DirectoryExists {
        /// Its path.
        path: String,
    },
    /// Reads a variable of the environment; answered by [`GuestAnswer::Text`].
    ReadEnvironment {
        /// Its name.
        name: String,
    },
    /// Sets a variable of the environment.
    WriteEnvironment {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Switches the sharing of folders on or off, for all of them.
    EnableSharedFolders {
        /// On or off.
        enabled: bool,
        /// Only until the VM is powered off.
        #[serde(default)]
        runtime: bool,
    },
    /// Counts the shared folders; answered by [`GuestAnswer::Count`].
    CountSharedFolders,
    /// Describes a shared folder; answered by [`GuestAnswer::SharedFolder`].
    SharedFolder {
        /// Which one, from 0.
        index: u32,
    },
    /// Changes what a shared folder shows.
    SetSharedFolder {
        /// Its name in the guest.
        name: String,
        /// The folder of the host.
        host_path: PathBuf,
        /// Whether the guest may write.
        writable: bool,
    },
    /// Shares a folder of the host.
    AddSharedFolder {
        /// Its name in the guest.
        name: String,
        /// The folder of the host.
        host_path: PathBuf,
        /// Whether the guest may write.
        writable: bool,
    },
    /// Shares a folder no longer.
    RemoveSharedFolder {
        /// Its name in the guest.
        name: String,
    },
    /// Takes a picture of the screen; answered by [`GuestAnswer::Image`].
    CaptureScreen,
    /// Puts the agent's installer into the guest's drive.
    InstallTools {
        /// Have it installed by the agent that runs already.
        auto_upgrade: bool,
        /// Do not wait for the end of the installation.
        return_immediately: bool,
        /// Arguments for the installer.
        arguments: Option<String>,
    },
}

impl GuestCall {
    /// Returns what the call is about, for a sentence: "listing processes in the guest".
    pub fn what(&self) -> &'static str {
        match self {
            Self::WaitForTools { .. } => "waiting for the agent in the guest",
            Self::CheckTools => "looking for the agent in the guest",
            Self::IpAddress => "asking for the guest's address",
            Self::Login => "logging in to the guest",
            Self::Logout => "logging out of the guest",
            Self::RunProgram { .. } => "running a program in the guest",
            Self::RunScript { .. } => "running a script in the guest",
            Self::ListProcesses => "listing processes in the guest",
            Self::KillProcess { .. } => "ending a process in the guest",
            Self::CopyToGuest { .. } => "copying into the guest",
            Self::CopyFromGuest { .. } => "copying from the guest",
            Self::DeleteFile { .. } => "deleting a file in the guest",
            Self::FileExists { .. } => "looking for a file in the guest",
            Self::Rename { .. } => "renaming in the guest",
            Self::CreateTempFile => "making a temporary file in the guest",
            Self::FileInfo { .. } => "describing a file in the guest",
            Self::ListDirectory { .. } => "listing a folder in the guest",
            Self::CreateDirectory { .. } => "making a folder in the guest",
            Self::DeleteDirectory { .. } => "deleting a folder in the guest",
            Self::DirectoryExists { .. } => "looking for a folder in the guest",
            Self::ReadEnvironment { .. } => "reading the guest's environment",
            Self::WriteEnvironment { .. } => "changing the guest's environment",
            Self::EnableSharedFolders { .. } => "switching shared folders",
            Self::CountSharedFolders => "counting shared folders",
            Self::SharedFolder { .. } => "describing a shared folder",
            Self::SetSharedFolder { .. } => "changing a shared folder",
            Self::AddSharedFolder { .. } => "sharing a folder",
            Self::RemoveSharedFolder { .. } => "ending the sharing of a folder",
            Self::CaptureScreen => "taking a picture of the screen",
            Self::InstallTools { .. } => "installing the agent in the guest",
        }
    }
}

/// What a [`GuestCall`] is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestAnswer {
    /// It is done; there is nothing to tell.
    Done,
    /// Whether the thing is there.
    Exists(bool),
    /// A program that was run.
    Process {
        /// Number of its process.
        pid: i64,
        /// How long it ran; 0 where its end was not waited for.
        seconds: i32,
        /// What it ended with; 0 where its end was not waited for.
        exit_code: i32,
    },
    /// Processes.
    Processes(Vec<GuestProcess>),
    /// A file or folder.
    File(GuestFile),
    /// What is in a folder, `.` and `..` left out.
    Directory(Vec<GuestFile>),
    /// A path or a value.
    Text(String),
    /// A number of things.
    Count(u32),
    /// A shared folder.
    SharedFolder(SharedFolder),
    /// A picture, as a PNG file.
    Image(Vec<u8>),
}

/// A process of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestProcess {
    /// Number.
    pub pid: i64,
    /// Name of the program.
    pub name: String,
    /// The account that it runs in.
    pub owner: String,
    /// The whole command line.
    pub command: String,
    /// Whether a debugger holds it.
    pub debugged: bool,
    /// When it started: seconds since 1970 UTC.
    pub started_s: i64,
}

/// A file or folder of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestFile {
    /// Name, without the folder where it is listed in one.
    pub name: String,
    /// Length; 0 for a folder.
    pub bytes: u64,
    /// Whether it is a folder.
    pub directory: bool,
    /// Whether it is a symbolic link.
    pub symlink: bool,
    /// When it was last changed: seconds since 1970 UTC.
    pub modified_s: i64,
}

/// A folder of the host that the guest sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedFolder {
    /// Its name in the guest.
    pub name: String,
    /// The folder of the host.
    pub host_path: PathBuf,
    /// Whether the guest may write.
    pub writable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_not_shown() {
        let login = Login {
            user: "root".into(),
            password: "secret".into(),
            interactive: true,
        };
        let shown = format!("{login:?}");
        assert!(
            shown.contains("root") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
