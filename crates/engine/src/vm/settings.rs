//! What the user set, once for all VMs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::Dictionary;
use crate::store::{Local, read_small};

/// No settings file is larger.
const LIMIT: u64 = 1 << 20;

/// What runs the guest's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The host's processor, through KVM.
    Kvm,
    /// QEMU's own emulation.
    Tcg,
}

/// What the user set, once for all VMs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folders outside of a VM that its files may reach (docs/adr/0004): `places.allow`.
    pub allow: Vec<PathBuf>,
    /// Delete a VM that linked clones stand on without being forced: `delete.parents = "allow"`.
    pub delete_parents: bool,
    /// What runs guests, where the user knows better: `power.accelerator`.
    pub accelerator: Option<Accelerator>,
    /// Whom QEMU runs as where root starts a VM: `power.user`.
    pub user: Option<String>,
    /// How long an operation waits for a VM that another process holds: `lock.seconds`.
    pub patience: Duration,
    /// The list of registered VMs: `inventory.file`; `None` is the user's own,
    /// `$XDG_STATE_HOME/replix/inventory.vmls` (`~/.local/state/replix/inventory.vmls`).
    pub inventory: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            delete_parents: false,
            accelerator: None,
            user: None,
            patience: Duration::from_secs(60),
            inventory: None,
        }
    }
}

impl Settings {
    /// Reads the settings of the machine and of the user; what the user set wins.
    ///
    /// The files are `/etc/replix/settings` and `$XDG_CONFIG_HOME/replix/settings`
    /// (`~/.config/replix/settings`), or the one file that `$REPLIX_SETTINGS` names. Any may be
    /// missing.
    ///
    /// # Errors
    /// `BadConfig` where a value makes no sense: a setting that was meant to protect must not be
    /// passed over.
    pub fn load() -> Result<Self> {
        let mut settings = Self::default();
        for file in files() {
            match read_small(&Local, &file, LIMIT) {
                Ok(bytes) => settings.read(&bytes, &file)?,
                Err(error) if error.kind() == Kind::FileNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(settings)
    }

    fn read(&mut self, bytes: &[u8], file: &Path) -> Result<()> {
        let dict = Dictionary::parse(bytes).map_err(|m| m.in_file(Kind::BadConfig, file))?;
        for (name, value) in dict.iter() {
            let known = match name.to_ascii_lowercase().as_str() {
                "places.allow" => self.read_allow(&value),
                "delete.parents" => choice(&value, &[("allow", true), ("refuse", false)])
                    .map(|allow| self.delete_parents = allow),
                "power.accelerator" => {
                    let words = [("kvm", Accelerator::Kvm), ("tcg", Accelerator::Tcg)];
                    choice(&value, &words).map(|found| self.accelerator = Some(found))
                }
                "power.user" => Some(value.trim())
                    .filter(|name| !name.is_empty())
                    .map(|name| self.user = Some(name.into())),
                "lock.seconds" => value
                    .parse()
                    .ok()
                    .map(|s| self.patience = Duration::from_secs(s)),
                "inventory.file" => Some(PathBuf::from(&value))
                    .filter(|file| file.is_absolute())
                    .map(|file| self.inventory = Some(file)),
                // A setting of another version of ours, or of the text itself.
                _ => Some(()),
            };
            known.ok_or_else(|| {
                let text = format!("{}: {name} cannot be \"{}\"", quoted(file), escaped(&value));
                Error::new(Kind::BadConfig, text).at(file)
            })?;
        }
        Ok(())
    }

    fn read_allow(&mut self, value: &str) -> Option<()> {
        for folder in value.split(';').filter(|folder| !folder.is_empty()) {
            let folder = Path::new(folder);
            if !folder.is_absolute() {
                return None;
            }
            self.allow.push(folder.to_path_buf());
        }
        Some(())
    }
}

/// Returns the folder of what this user's programs keep, `$XDG_STATE_HOME/replix`
/// (`~/.local/state/replix`), which need not exist; `None` for a user without a home.
pub fn state_dir() -> Option<PathBuf> {
    let from = |name: &str, below: &str| {
        let dir = std::env::var_os(name).map(PathBuf::from);
        dir.filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(below))
    };
    from("XDG_STATE_HOME", "replix").or_else(|| from("HOME", ".local/state/replix"))
}

fn choice<T: Copy>(value: &str, words: &[(&str, T)]) -> Option<T> {
    words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(value))
        .map(|(_, meaning)| *meaning)
}

fn files() -> Vec<PathBuf> {
    if let Some(file) = std::env::var_os("REPLIX_SETTINGS") {
        return vec![file.into()];
    }
    let mut files = vec![PathBuf::from("/etc/replix/settings")];
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or(home);
    files.extend(config.map(|config| config.join("replix/settings")));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings> {
        let mut settings = Settings::default();
        settings
            .read(text.as_bytes(), Path::new("s"))
            .map(|()| settings)
    }

    #[test]
    fn settings_are_read_as_a_dictionary() {
        let text = "places.allow = \"/a;/b\"\nDelete.Parents = \"Allow\"\nlock.seconds = \"5\"\n\
                    power.user = \"nobody\"\n\
                    inventory.file = \"/s/list\"\n";
        let settings = read(text).unwrap();
        assert_eq!(settings.allow, [Path::new("/a"), Path::new("/b")]);
        assert!(settings.delete_parents);
        assert_eq!(settings.user.as_deref(), Some("nobody"));
        assert_eq!(settings.patience, Duration::from_secs(5));
        assert_eq!(settings.inventory.as_deref(), Some(Path::new("/s/list")));
    }

    #[test]
    fn senseless_value_is_refused() {
        let error = read("power.accelerator = \"fast\"\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"s\": power.accelerator cannot be \"fast\""
        );
        assert!(read("power.user = \" \"\n").is_err());
        assert!(read("places.allow = \"a\"\n").is_err());
        assert!(read("inventory.file = \"a\"\n").is_err());
    }
}
