//! Folders of the host that a guest is to see, as the VM's configuration says them in VMware's words.
//!
//! A configuration may come from a stranger: what it says here is a wish. What is served is decided
//! where a VM is run (docs/adr/0016).

use super::config::VmConfig;
use crate::error::{Error, Kind, Result, escaped};

/// The switch above all of them.
pub const SWITCH: &str = "isolation.tools.hgfs.disable";

/// How many slots there are.
const SLOTS: &str = "sharedFolder.maxNum";

/// A guest's file system holds no longer name, in bytes.
const NAME_LIMIT: usize = 255;

/// A shared folder as a configuration says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its slot: 0 for `sharedFolder0`.
    pub number: u8,
    /// Its name in the guest.
    pub name: String,
    /// The folder of the host, as written.
    pub host_path: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether the guest may read.
    pub readable: bool,
    /// Whether the guest may write.
    pub writable: bool,
}

impl Share {
    /// Returns what the configuration calls it: `sharedFolder0`.
    pub fn device(&self) -> String {
        device(self.number)
    }
}

/// Demands that `name` can be that of a folder in a guest.
///
/// # Errors
/// `Argument`.
pub fn require_name(name: &str) -> Result<()> {
    let odd = |c: char| c == '/' || c.is_control();
    if !matches!(name, "" | "." | "..") && name.len() <= NAME_LIMIT && !name.contains(odd) {
        return Ok(());
    }
    let short: String = name.chars().take(NAME_LIMIT).collect();
    let text = format!("a shared folder cannot be called \"{}\"", escaped(&short));
    let hint = "its name is that of a folder in the guest: no \"/\", no control characters";
    Err(Error::new(Kind::Argument, text).hint(hint))
}

impl VmConfig {
    /// Returns the shared folders, in the order of their slots.
    pub fn shares(&self) -> Vec<Share> {
        let share = |number| {
            let device = device(number);
            let text = |key: &str| self.dict().get(&format!("{device}.{key}"));
            let flag = |key: &str, default| self.flag(&format!("{device}.{key}"), default);
            flag("present", false).then(|| Share {
                number,
                name: text("guestName").unwrap_or_default(),
                host_path: text("hostPath").unwrap_or_default(),
                enabled: flag("enabled", false),
                readable: flag("readAccess", false),
                writable: flag("writeAccess", false),
            })
        };
        let numbers = self.numbers("sharedfolder").into_iter();
        numbers.filter_map(share).collect()
    }

    /// Tells whether folders are shared at all.
    pub fn is_sharing(&self) -> bool {
        !self.is_set(SWITCH)
    }

    /// Switches the sharing of folders on or off.
    pub fn set_sharing(&mut self, on: bool) {
        let value = if on { "FALSE" } else { "TRUE" };
        self.dict_mut().set(SWITCH, value);
    }

    /// Shares the folder `host_path` as `name`.
    ///
    /// # Errors
    /// `NameTaken`; `Argument` where no slot is left, or the name is none.
    pub fn add_share(&mut self, name: &str, host_path: &str, writable: bool) -> Result<()> {
        require_name(name)?;
        let present = self.shares();
        if present.iter().any(|share| share.name == name) {
            let text = format!("there is a shared folder \"{}\" already", escaped(name));
            return Err(Error::new(Kind::NameTaken, text).hint("change that one, or remove it"));
        }
        let is_free = |number: &u8| present.iter().all(|share| share.number != *number);
        let Some(number) = (0..=u8::MAX).find(is_free) else {
            return Err(Error::new(Kind::Argument, "no more shared folders fit"));
        };
        self.remove_slot(number);
        let device = device(number);
        for (key, value) in [
            ("present", "TRUE"),
            ("enabled", "TRUE"),
            ("readAccess", "TRUE"),
            ("writeAccess", word(writable)),
            ("hostPath", host_path),
            ("guestName", name),
            ("expiration", "never"),
        ] {
            self.dict_mut().set(&format!("{device}.{key}"), value);
        }
        self.count_slots();
        Ok(())
    }

    /// Changes what the shared folder `name` shows, and switches it on.
    ///
    /// # Errors
    /// `NoSuchObject`.
    pub fn set_share(&mut self, name: &str, host_path: &str, writable: bool) -> Result<()> {
        let device = self.require_share(name)?.device();
        for (key, value) in [
            ("enabled", "TRUE"),
            ("readAccess", "TRUE"),
            ("writeAccess", word(writable)),
            ("hostPath", host_path),
        ] {
            self.dict_mut().set(&format!("{device}.{key}"), value);
        }
        Ok(())
    }

    /// Shares the folder `name` no longer.
    ///
    /// # Errors
    /// `NoSuchObject`.
    pub fn remove_share(&mut self, name: &str) -> Result<()> {
        let number = self.require_share(name)?.number;
        self.remove_slot(number);
        self.count_slots();
        Ok(())
    }

    fn require_share(&self, name: &str) -> Result<Share> {
        let found = self.shares().into_iter().find(|share| share.name == name);
        found.ok_or_else(|| {
            let text = format!("there is no shared folder \"{}\"", escaped(name));
            Error::new(Kind::NoSuchObject, text)
        })
    }

    fn remove_slot(&mut self, number: u8) {
        let prefix = format!("{}.", device(number)).to_ascii_lowercase();
        let dict = self.dict_mut();
        dict.remove_matching(|name| name.to_ascii_lowercase().starts_with(&prefix));
    }

    fn count_slots(&mut self) {
        let last = self.shares().last().map(|share| share.number);
        let count = last.map_or(0, |last| u16::from(last) + 1);
        self.dict_mut().set(SLOTS, &count.to_string());
    }
}

fn device(number: u8) -> String {
    format!("sharedFolder{number}")
}

fn word(flag: bool) -> &'static str {
    if flag { "TRUE" } else { "FALSE" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(lines: &str) -> VmConfig {
        VmConfig::parse(format!("x = \"y\"\n{lines}").as_bytes()).unwrap()
    }

    fn text(config: &VmConfig) -> String {
        String::from_utf8(config.to_bytes()).unwrap()
    }

    const ONE: &str = "sharedFolder0.present = \"TRUE\"\nsharedFolder0.enabled = \"TRUE\"\n\
                       sharedFolder0.readAccess = \"TRUE\"\nsharedFolder0.writeAccess = \"FALSE\"\n\
                       sharedFolder0.hostPath = \"/srv/a\"\nsharedFolder0.guestName = \"a\"\n\
                       sharedFolder0.expiration = \"never\"\nsharedFolder.maxNum = \"1\"\n";

    #[test]
    fn shares_are_written_as_vmware_writes_them() {
        let mut config = config("");
        assert!(config.is_sharing() && config.shares().is_empty());
        config.add_share("a", "/srv/a", false).unwrap();
        assert_eq!(text(&config), format!("x = \"y\"\n{ONE}"));
        let [share] = &config.shares()[..] else {
            panic!("{:?}", config.shares());
        };
        assert_eq!(
            (share.name.as_str(), share.device().as_str()),
            ("a", "sharedFolder0")
        );
        assert!(share.enabled && share.readable && !share.writable);
        config.set_sharing(false);
        assert!(!config.is_sharing());
        assert!(text(&config).ends_with("isolation.tools.hgfs.disable = \"TRUE\"\n"));
        config.set_sharing(true);
        assert!(config.is_sharing());
    }

    #[test]
    fn keys_are_read_in_any_case_and_slots_have_gaps() {
        let config = config(
            "sharedfolder3.present = \"true\"\nsharedfolder3.hostpath = \"C:\\Users\\\"\n\
             sharedfolder3.guestname = \"u\"\nsharedFolder1.guestName = \"old\"\n\
             sharedFolder.maxNum = \"2\"\nsharedFolder99999.present = \"TRUE\"\n",
        );
        let [share] = &config.shares()[..] else {
            panic!("{:?}", config.shares());
        };
        assert_eq!((share.number, share.host_path.as_str()), (3, "C:\\Users\\"));
        assert!(!share.enabled && !share.readable && !share.writable);
    }

    #[test]
    fn share_takes_first_free_slot_and_leaves_nothing() {
        let mut config = config(&format!("{ONE}sharedFolder1.guestName = \"old\"\n"));
        config.add_share("-b", "/srv/b", true).unwrap();
        config.add_share("c", "/srv/c", true).unwrap();
        let numbers = |config: &VmConfig| -> Vec<(u8, String)> {
            let shares = config.shares().into_iter();
            shares.map(|share| (share.number, share.name)).collect()
        };
        assert_eq!(
            numbers(&config),
            [(0, "a".into()), (1, "-b".into()), (2, "c".into())]
        );
        config.remove_share("-b").unwrap();
        assert_eq!(
            config.dict().get("sharedFolder.maxNum").as_deref(),
            Some("3")
        );
        config.set_share("c", "/srv/d", false).unwrap();
        assert_eq!(config.shares()[1].host_path, "/srv/d");
        assert!(!config.shares()[1].writable);
        config.remove_share("c").unwrap();
        assert_eq!(text(&config), format!("x = \"y\"\n{ONE}"));
    }

    #[test]
    fn wrong_names_change_nothing() {
        let mut config = config(ONE);
        let before = config.clone();
        assert_eq!(
            config.add_share("a", "/b", true).unwrap_err().kind(),
            Kind::NameTaken
        );
        for unknown in [config.remove_share("b"), config.set_share("A", "/b", true)] {
            assert_eq!(unknown.unwrap_err().kind(), Kind::NoSuchObject);
        }
        for name in ["", ".", "..", "a/b", "a\nb", "\0", &"x".repeat(256)] {
            assert_eq!(
                config.add_share(name, "/b", true).unwrap_err().kind(),
                Kind::Argument
            );
        }
        assert_eq!(config, before);
    }
}
