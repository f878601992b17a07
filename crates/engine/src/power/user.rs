//! QEMU as a user without rights, where root starts a VM: `power.user`.
//!
//! The folder of a running VM's sockets is that user's; all else there stays root's, who trusts it. Root
//! also gives away sockets that it listens at, and the disks that it makes in a VM folder of that
//! user's. Else the VM's own files are not touched: whoever sets this up decides who may read and write
//! them.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{User, fchownat, geteuid};

use super::runtime::Runtime;
use super::shares::Served;
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::store::folder_of;
use crate::vm::{Accelerator, Node, Settings};

/// Prints the first file that this user cannot use: after `w` those to be written, after `r` those to
/// be read.
const CHECK: &str = r#"
for file; do
    case $file in
        r|w) need=$file; continue ;;
    esac
    if [ ! -r "$file" ] || { [ $need = w ] && [ ! -w "$file" ]; } || { [ -d "$file" ] && [ ! -x "$file" ]; }; then
        printf '%s' "$file"
        exit 1
    fi
done
"#;

/// The user that QEMU runs as.
pub(super) struct Servant(User);

impl Servant {
    /// Returns the user of the settings, where root asks; any other user's QEMU runs as that user.
    ///
    /// # Errors
    /// `BadConfig` where there is no such user.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>> {
        let Some(name) = settings.user.as_ref().filter(|_| geteuid().is_root()) else {
            return Ok(None);
        };
        match User::from_name(name) {
            Ok(Some(user)) => Ok(Some(Self(user))),
            _ => {
                let text = format!("there is no user \"{}\"", escaped(name));
                let hint = "name one in the setting power.user, or remove it";
                Err(Error::new(Kind::BadConfig, text).hint(hint))
            }
        }
    }

    /// Gives the folder for the sockets of a VM that is about to run to this user.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn own(&self, run: &Runtime) -> Result<()> {
        hand_over(&run.sockets(), self.0.uid.as_raw(), self.0.gid.as_raw())
    }

    /// Gives this user the disks that root made in a VM folder of that user's: those of a snapshot, or
    /// of going back to one.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn own_disks(&self, folder: &Path, chains: &[(Node, Chain)]) -> Result<()> {
        let (user, group) = (self.0.uid.as_raw(), self.0.gid.as_raw());
        let found = std::fs::metadata(folder);
        let owner = found.map_err(|error| Error::io("find", folder, error))?;
        if owner.uid() != user {
            return Ok(());
        }
        let disks = chains.iter().flat_map(|(_, chain)| top_files(chain));
        let mut own = disks.filter(|file| folder_of(file) == folder);
        own.try_for_each(|file| hand_over(&file, user, group))
    }

    /// Demands that this user may use the files that the machine opens.
    ///
    /// # Errors
    /// `Denied` naming the first that is out of its reach.
    pub(super) fn require_access(
        &self,
        chains: &[(Node, Chain)],
        written: &[PathBuf],
        shares: &[Served],
        accelerator: Accelerator,
    ) -> Result<()> {
        let mut files: Vec<PathBuf> = vec!["w".into()];
        if accelerator == Accelerator::Kvm {
            files.push("/dev/kvm".into());
        }
        files.extend(written.iter().filter(|file| file.exists()).cloned());
        files.extend(chains.iter().flat_map(|(_, chain)| top_files(chain)));
        let shared = |writable| {
            let shares = shares.iter().filter(move |one| one.writable == writable);
            shares.map(|one| one.folder.clone())
        };
        files.extend(shared(true));
        files.push("r".into());
        files.extend(shared(false));
        for (_, chain) in chains {
            files.extend(chain.links().iter().flat_map(files_of));
        }
        let mut check = self.command(OsStr::new("sh"));
        let check = check.args(["-c", CHECK, "sh"]).args(files);
        let failed = |error| Error::io("run", Path::new("setpriv"), error);
        let said = check.stdin(Stdio::null()).output().map_err(failed)?;
        if said.status.success() {
            return Ok(());
        }
        let (user, file) = (
            &self.0.name,
            String::from_utf8_lossy(&said.stdout).into_owned(),
        );
        let text = format!(
            "the user \"{}\", whom QEMU runs as, cannot use {}",
            escaped(user),
            quoted(file)
        );
        let hint = "give it the file, and the folders above a way in (chown, chmod, setfacl), or change power.user";
        Err(Error::new(Kind::Denied, text).hint(hint))
    }

    /// Returns the words that run a program as this user, to stand before it.
    pub(super) fn words(&self) -> Vec<OsString> {
        let id = |option: &str, id: u32| OsString::from(format!("--{option}={id}"));
        vec![
            "setpriv".into(),
            id("reuid", self.0.uid.as_raw()),
            id("regid", self.0.gid.as_raw()),
            "--init-groups".into(),
            "--no-new-privs".into(),
            "--".into(),
        ]
    }

    fn command(&self, program: &OsStr) -> Command {
        let mut words = self.words().into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).arg(program);
        command
    }
}

/// Gives a file that root made to whom the sockets of the running VM belong.
///
/// # Errors
/// What the system says.
pub(super) fn give(run: &Runtime, file: &Path) -> Result<()> {
    let sockets = run.sockets();
    let failed = |error| Error::io("find", &sockets, error);
    let owner = std::fs::metadata(&sockets).map_err(failed)?;
    match owner.uid() == geteuid().as_raw() {
        true => Ok(()),
        false => hand_over(file, owner.uid(), owner.gid()),
    }
}

/// The same for the disk that a machine writes to, where a snapshot just made it.
///
/// # Errors
/// What the system says.
pub(super) fn give_disk(run: &Runtime, chain: &Chain) -> Result<()> {
    top_files(chain).try_for_each(|file| give(run, &file))
}

/// Gives a file of root's away; somebody else's stays theirs. Its new owner may already write to the
/// folder that it is in: no link is followed, and what has a second name elsewhere is not given.
fn hand_over(file: &Path, user: u32, group: u32) -> Result<()> {
    let failed = |error: nix::Error| Error::io("give away", file, error.into());
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let held = open(file, flags, Mode::empty()).map_err(failed)?;
    let found = fstat(&held).map_err(failed)?;
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    if found.st_uid != geteuid().as_raw() {
        return Ok(());
    }
    let has_one_name = found.st_nlink == 1 || kind == SFlag::S_IFDIR;
    if kind == SFlag::S_IFLNK || !has_one_name {
        let text = format!("{} is no longer what was made there", quoted(file));
        return Err(Error::new(Kind::Denied, text).at(file));
    }
    let (user, group) = (Some(user.into()), Some(group.into()));
    fchownat(&held, "", user, group, AtFlags::AT_EMPTY_PATH).map_err(failed)
}

fn top_files(chain: &Chain) -> impl Iterator<Item = PathBuf> {
    files_of(chain.top()).into_iter()
}

fn files_of(link: &crate::disk::Link) -> Vec<PathBuf> {
    let extents = link.named_extents().into_iter();
    let extents = extents.map(|(_, extent)| extent.to_path_buf());
    std::iter::once(link.path().to_path_buf())
        .chain(extents)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who is not root.
    const OTHER: u32 = 12_345;

    fn owner(file: &Path) -> u32 {
        std::fs::symlink_metadata(file).unwrap().uid()
    }

    #[test]
    fn only_what_was_made_there_is_given_away() {
        if !geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let [made, link, twin, secret] =
            ["made", "link", "twin", "secret"].map(|name| dir.path().join(name));
        std::fs::write(&made, "").unwrap();
        std::fs::write(&secret, "").unwrap();
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        hand_over(&made, OTHER, OTHER).unwrap();
        assert_eq!(owner(&made), OTHER);
        // It is that user's by now, and stays so.
        hand_over(&made, OTHER + 1, OTHER).unwrap();
        assert_eq!(owner(&made), OTHER);
        assert_eq!(
            hand_over(&link, OTHER, OTHER).unwrap_err().kind(),
            Kind::Denied
        );
        std::fs::hard_link(&secret, &twin).unwrap();
        assert_eq!(
            hand_over(&twin, OTHER, OTHER).unwrap_err().kind(),
            Kind::Denied
        );
        assert_eq!(owner(&secret), 0);
    }
}
