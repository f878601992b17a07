//! Who may do something in a guest: its own accounts, as its files tell of them.
//!
//! The agent is the superuser and asks nobody. So a login is checked here against what the guest
//! itself would check it against, and everything is done with that account's rights (docs/adr/0012).
//!
//! Source: passwd(5) and shadow(5).

use std::collections::HashMap;

use super::{Login, password};

/// Programs in the place of a shell that let nobody in.
const NO_SHELLS: [&str; 5] = ["nologin", "false", "sync", "halt", "shutdown"];

/// An account that let somebody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Its name.
    pub(super) name: String,
    /// Its number.
    pub(super) uid: u32,
    /// Its first group.
    pub(super) gid: u32,
    /// Its folder.
    pub(super) home: String,
    /// Its shell.
    pub(super) shell: String,
}

impl Account {
    /// Returns the account that `login` opens on the day `today`, counted from 1970; `None` where it
    /// opens none, whatever the reason.
    pub(super) fn open(passwd: &str, shadow: &str, login: &Login, today: i64) -> Option<Self> {
        let account = Self::find(passwd, &login.user)?;
        let fields = fields_of(shadow, &login.user)?;
        let hash = fields.get(1)?;
        let fits = password::fits(&login.password, hash);
        (fits && is_valid(&fields, today) && account.has_shell()).then_some(account)
    }

    fn find(passwd: &str, name: &str) -> Option<Self> {
        let fields = fields_of(passwd, name)?;
        let [name, "x", uid, gid, _, home, shell] = fields[..] else {
            return None;
        };
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_string();
        Some(Self {
            name: name.to_string(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: or(home, "/"),
            shell: or(shell, "/bin/sh"),
        })
    }

    fn has_shell(&self) -> bool {
        let program = self.shell.rsplit('/').next().unwrap_or_default();
        !NO_SHELLS.contains(&program)
    }

    /// The environment in which the account's programs begin.
    pub(super) fn environment(&self) -> Vec<String> {
        let path = match self.uid {
            0 => "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            _ => "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games",
        };
        vec![
            format!("HOME={}", self.home),
            format!("USER={}", self.name),
            format!("LOGNAME={}", self.name),
            format!("SHELL={}", self.shell),
            format!("PATH={path}"),
        ]
    }
}

/// The names of accounts by their numbers, read once: there may be as many lines as a guest likes.
pub(super) struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    /// Reads them; the first of a number counts.
    pub(super) fn read(passwd: &'a str) -> Self {
        let mut names = HashMap::new();
        for line in passwd.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) {
                names.entry(uid).or_insert(name);
            }
        }
        Self(names)
    }

    /// Returns the name of the account `uid`, its number where it has none.
    pub(super) fn of(&self, uid: &'a str) -> &'a str {
        self.0.get(uid).copied().unwrap_or(uid)
    }
}

fn fields_of<'a>(file: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let lines = file.lines().map(|line| line.split(':').collect());
    let mut own = lines.filter(|fields: &Vec<&str>| fields[0] == name);
    own.next().filter(|_| !name.is_empty())
}

/// Whether neither the account nor its password has run out, and the password need not be changed.
fn is_valid(shadow: &[&str], today: i64) -> bool {
    let day = |index: usize| match shadow.get(index) {
        None | Some(&"") => Some(None),
        // What is no number is no permission.
        Some(text) => text.parse::<i64>().ok().map(Some),
    };
    let (Some(changed), Some(longest), Some(end)) = (day(2), day(4), day(7)) else {
        return false;
    };
    let ended = end.is_some_and(|end| end >= 0 && today >= end);
    let last_day = changed.zip(longest.filter(|&days| days >= 0));
    let stale = last_day.is_some_and(|(changed, days)| changed.saturating_add(days) < today);
    !ended && !stale && changed != Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$5$carolsaltcarol$WGnnDlZ9Nuq9pkSeInqe39eRx36.J0vRHM07Nk7R./1";

    fn open(passwd: &str, shadow: &str) -> Option<Account> {
        let login = Login {
            user: "carol".into(),
            password: "carol-secret".into(),
            interactive: false,
        };
        Account::open(passwd, &shadow.replace("HASH", HASH), &login, 20_000)
    }

    #[test]
    fn account_is_read_from_both_files() {
        let passwd = "root:x:0:0::/root:/bin/sh\ncarol:x:1002:50:C,,:/home/carol:/bin/bash\n";
        let account = open(passwd, "root:*:1::::::\ncarol:HASH:19000:0:99999:7:::\n").unwrap();
        assert_eq!((account.uid, account.gid), (1002, 50));
        assert!(
            account
                .environment()
                .contains(&"HOME=/home/carol".to_string())
        );
        let names = Names::read(passwd);
        assert_eq!((names.of("1002"), names.of("7")), ("carol", "7"));
    }

    #[test]
    fn entry_that_does_not_let_in_is_refused() {
        let passwd = "carol:x:1002:50::/home/carol:/bin/bash\n";
        assert!(open(passwd, "carol:HASH:19000::::::").is_some());
        for shadow in [
            "",
            "carol",
            "carol::19000::::::",
            "carol:!HASH:19000::::::",
            "carol:HASH:0::::::",
            "carol:HASH:19000:0:30::::",
            "carol:HASH:19000:::::20000:",
            "carol:HASH:never::::::",
            "caro:HASH:19000::::::",
        ] {
            assert_eq!(open(passwd, shadow), None, "{shadow}");
        }
        for passwd in [
            "",
            "carol::1002:50::/home/carol:/bin/bash",
            "carol:x:1002:50::/home/carol:/usr/sbin/nologin",
            "carol:x:1002:50::/home/carol:/bin/false",
            "carol:x:-1:50::/home/carol:/bin/bash",
            "carol:x:1002",
        ] {
            assert_eq!(open(passwd, "carol:HASH:19000::::::"), None, "{passwd}");
        }
    }
}
