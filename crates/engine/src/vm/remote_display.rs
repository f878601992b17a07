//! The screen of a VM, served to VNC clients.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// How the screen of a VM is served to VNC clients.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteDisplay {
    /// The address of this host to listen at; `None`: see [`RemoteDisplay::listens_at`].
    pub address: Option<IpAddr>,
    /// The TCP port; 0 is one that is free.
    pub port: u16,
    /// What a client is asked for. VNC takes no more than 8 bytes of it.
    pub password: Option<String>,
}

impl RemoteDisplay {
    /// Returns the address that it listens at: where none is given, every one of this host with a
    /// password, as VMware does, and without one only the host itself (docs/adr/0006).
    pub fn listens_at(&self) -> IpAddr {
        let default = match self.password {
            Some(_) => Ipv4Addr::UNSPECIFIED,
            None => Ipv4Addr::LOCALHOST,
        };
        self.address.unwrap_or(default.into())
    }
}

/// Without the password.
impl fmt::Debug for RemoteDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protection = self.password.as_ref().map_or("open", |_| "protected");
        write!(f, "{:?}:{} {protection}", self.address, self.port)
    }
}

#[cfg(feature = "local")]
mod config {
    use super::*;
    use crate::format::vnc_key;
    use crate::vm::VmConfig;

    /// VNC's own port.
    const PORT: u16 = 5900;

    impl VmConfig {
        /// Returns how the configuration wants the screen served to VNC clients, if it does.
        ///
        /// # Errors
        /// What makes no sense there, with its cure: nothing is served without the protection that
        /// was meant.
        pub fn remote_display(&self) -> Result<Option<RemoteDisplay>, String> {
            if !self.flag("RemoteDisplay.vnc.enabled", false) {
                return Ok(None);
            }
            Ok(Some(RemoteDisplay {
                address: self.vnc_address()?,
                port: self.vnc_port()?,
                password: self.vnc_password()?,
            }))
        }

        fn vnc_text(&self, name: &str) -> Option<String> {
            self.dict().get_filled(&format!("RemoteDisplay.vnc.{name}"))
        }

        fn vnc_address(&self) -> Result<Option<IpAddr>, String> {
            let Some(text) = self.vnc_text("ip") else {
                return Ok(None);
            };
            match text.trim() {
                "localhost" => Ok(Some(Ipv4Addr::LOCALHOST.into())),
                text => text.parse().map(Some).map_err(|_| {
                    senseless(
                        "ip",
                        text,
                        "write an IP address of this host, or leave it out",
                    )
                }),
            }
        }

        fn vnc_port(&self) -> Result<u16, String> {
            let Some(text) = self.vnc_text("port") else {
                return Ok(PORT);
            };
            match text.trim() {
                // VMware's word for any.
                "-1" => Ok(0),
                text => text.parse().map_err(|_| {
                    senseless("port", text, "write a TCP port, or 0 for one that is free")
                }),
            }
        }

        fn vnc_password(&self) -> Result<Option<String>, String> {
            match self.vnc_text("key") {
                None => Ok(self.vnc_text("password")),
                Some(key) => vnc_key::password(&key).map(Some).ok_or_else(|| {
                    senseless(
                        "key",
                        &key,
                        "remove it, and write RemoteDisplay.vnc.password",
                    )
                }),
            }
        }
    }

    fn senseless(name: &str, value: &str, cure: &str) -> String {
        let value = crate::error::escaped(value);
        format!("RemoteDisplay.vnc.{name} cannot be \"{value}\": {cure}")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn of(lines: &str) -> Result<Option<RemoteDisplay>, String> {
            let lines = format!("RemoteDisplay.vnc.enabled = \"TRUE\"\n{lines}");
            VmConfig::parse(lines.as_bytes()).unwrap().remote_display()
        }

        fn shown(lines: &str) -> String {
            let display = of(lines).unwrap().unwrap();
            format!("{} {}", display.listens_at(), display.port)
        }

        #[test]
        fn screen_is_served_only_where_it_is_wanted() {
            let config = VmConfig::parse(b"RemoteDisplay.vnc.port = \"5901\"\n").unwrap();
            assert_eq!(config.remote_display(), Ok(None));
        }

        #[test]
        fn without_a_password_only_the_host_itself_sees_it() {
            assert_eq!(shown(""), "127.0.0.1 5900");
            let password = "remotedisplay.vnc.password = \"x\"\n";
            assert_eq!(shown(password), "0.0.0.0 5900");
            let ip =
                |ip| format!("RemoteDisplay.vnc.ip = \"{ip}\"\nRemoteDisplay.vnc.port = \"1\"\n");
            assert_eq!(shown(&ip("0.0.0.0")), "0.0.0.0 1");
            assert_eq!(shown(&ip("::1")), "::1 1");
        }

        #[test]
        fn senseless_values_are_refused() {
            for (name, value) in [("port", "65536"), ("ip", "any,x"), ("key", "secret")] {
                let error = of(&format!("RemoteDisplay.vnc.{name} = \"{value}\"\n")).unwrap_err();
                assert!(error.contains(name) && error.contains(value), "{error}");
            }
        }

        #[test]
        fn password_is_not_shown() {
            let display = of("RemoteDisplay.vnc.password = \"secret\"\n").unwrap();
            assert!(!format!("{display:?}").contains("secret"));
        }
    }
}
