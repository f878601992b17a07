//! A guest's answers from any bytes: what fuzzing calls.

use std::io;
use std::path::Path;

use qapi::{Qga, Stream, qga};

use super::account::{Account, Names};
use super::session::Ended;
use super::{Login, environment, files, process, refusal};
use crate::power::first_address;

/// The account that the inputs which were made by hand let in.
const USER: &str = "carol";

/// A day on which passwords have not run out.
const TODAY: i64 = 20_000;

/// Reads a guest's accounts, `out` as what each script of ours may print, and `line` as what its agent says.
pub(crate) fn read_answers(passwd: &[u8], shadow: &[u8], out: &[u8], line: &[u8]) {
    let [passwd, shadow] = [passwd, shadow].map(String::from_utf8_lossy);
    let login = Login {
        user: USER.into(),
        password: format!("{USER}-secret"),
        interactive: false,
    };
    let account = Account::open(&passwd, &shadow, &login, TODAY);
    let own = account.map_or_else(Vec::new, |account| {
        assert_eq!(account.name, USER, "another account was opened");
        account.environment()
    });
    read_printed(&passwd, &own, out);
    hear(&passwd, line);
}

/// Reads what programs print, whichever it was.
fn read_printed(passwd: &str, own: &[String], out: &[u8]) {
    let text = String::from_utf8_lossy(out);
    let names = Names::read(passwd);
    let owners: Vec<&str> = passwd
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    for found in process::parse(&text, passwd).into_iter().flatten() {
        let is_known = owners.contains(&found.owner.as_str());
        assert!(
            is_known || names.of(&found.owner) == found.owner,
            "{found:?}"
        );
    }
    for (name, _) in files::parse_entries(out).into_iter().flatten() {
        // It is joined to a folder of the host's.
        let is_plain = !name.contains(&b'/') && !name.contains(&0);
        assert!(
            is_plain && !matches!(&name[..], b"" | b"." | b".."),
            "{name:?}"
        );
    }
    let _ = files::parse_facts(out);
    if let Some(path) = files::parse_temporary(out.to_vec()) {
        assert!(
            path.starts_with('/') && !path.contains(['\n', '\0']),
            "{path:?}"
        );
    }
    for entry in environment::merge(own, &text).into_iter().flatten() {
        assert!(entry.contains('='), "{entry:?}");
    }
    let said = refusal::of(Path::new("/a.vmx"), Some("/b"), out).to_string();
    assert!(
        said.len() < 4096 && !said.contains(char::is_control),
        "{said:?}"
    );
}

/// Takes each line as the answer to a question.
fn hear(passwd: &str, line: &[u8]) {
    let mut agent = Qga::new(Stream::new(line, io::sink()));
    if let Ok(status) = agent.execute(&qga::guest_exec_status { pid: 1 }) {
        let ended = Ended::of(status);
        read_printed(passwd, &[], &ended.out);
        let _ = refusal::of(Path::new("/a.vmx"), None, &ended.err);
    }
    if let Ok(interfaces) = agent.execute(&qga::guest_network_get_interfaces {}) {
        let _ = first_address(&interfaces);
    }
    let _ = agent.execute(&qga::guest_get_users {});
    let _ = agent.execute(&qga::guest_get_osinfo {});
    let _ = agent.execute(&qga::guest_file_read {
        handle: 1,
        count: None,
    });
}
