//! What was set up: `/etc/replix/networks`, in the form of a `.vmx`.

use std::path::{Path, PathBuf};

use super::{Network, NetworkKind};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{Dictionary, LineEnd};
use crate::store::{Store, read_small, replace};

/// The record's place.
pub(super) const FILE: &str = "/etc/replix/networks";

/// No record is larger.
const LIMIT: u64 = 64 << 10;

/// What was set up, and what was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The networks.
    pub(super) networks: Vec<Network>,
    /// Folders and files that were not there before, in the order in which they were made.
    pub(super) made: Vec<PathBuf>,
    /// The host passed no packets on between its networks before.
    pub(super) forwarding_was_off: bool,
    /// QEMU's bridge helper, where it became setuid by us.
    pub(super) helper: Option<PathBuf>,
}

impl Record {
    /// Reads the record; `None` where nothing is set up.
    ///
    /// # Errors
    /// `BadConfig` where it makes no sense.
    pub(super) fn read(store: &dyn Store) -> Result<Option<Self>> {
        let file = Path::new(FILE);
        match read_small(store, file, LIMIT) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(error) if error.kind() == Kind::FileNotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write(&self, store: &dyn Store) -> Result<()> {
        replace(store, Path::new(FILE), &self.to_bytes())
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let file = Path::new(FILE);
        let dict = Dictionary::parse(bytes).map_err(|m| m.in_file(Kind::BadConfig, file))?;
        let mut record = Self {
            forwarding_was_off: dict.get_bool("forwarding.wasOff") == Some(true),
            helper: dict.get_filled("helper").map(PathBuf::from),
            ..Self::default()
        };
        for kind in NetworkKind::ALL {
            let name = format!("{}.subnet", kind.network());
            let Some(text) = dict.get(&name) else {
                continue;
            };
            let subnet = text.parse().map_err(|what| {
                let text = format!("{}: {name}: {what}", quoted(file));
                Error::new(Kind::BadConfig, text).at(file)
            })?;
            record.networks.push(Network { kind, subnet });
        }
        let made = (0..).map_while(|n| dict.get(&format!("made{n}.path")));
        record.made = made.map(PathBuf::from).collect();
        Ok(record)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut dict = Dictionary::new(LineEnd::Lf);
        for network in &self.networks {
            let name = format!("{}.subnet", network.name());
            dict.set(&name, &network.subnet.to_string());
        }
        if self.forwarding_was_off {
            dict.set("forwarding.wasOff", "TRUE");
        }
        if let Some(helper) = &self.helper {
            dict.set("helper", &helper.to_string_lossy());
        }
        for (number, path) in self.made.iter().enumerate() {
            dict.set(&format!("made{number}.path"), &path.to_string_lossy());
        }
        dict.to_bytes()
    }
}

/// Returns the networks that are set up on this machine.
///
/// # Errors
/// `BadConfig` where the record of them makes no sense.
pub fn networks() -> Result<Vec<Network>> {
    let record = Record::read(&crate::store::Local)?;
    Ok(record.unwrap_or_default().networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_read_as_written() {
        let record = Record {
            networks: vec![Network {
                kind: NetworkKind::Nat,
                subnet: "192.168.90.0/24".parse().unwrap(),
            }],
            made: vec!["/etc/a".into(), "/etc/a/b c".into()],
            forwarding_was_off: true,
            helper: Some("/usr/lib/qemu/x".into()),
        };
        assert_eq!(Record::parse(&record.to_bytes()).unwrap(), record);
        assert!(Record::parse(b"vmnet8.subnet = \"8.8.8.0/24\"\n").is_err());
    }
}
