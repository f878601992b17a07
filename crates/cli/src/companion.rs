//! `vmware -v`, `vmplayer -v`, `vmware-vmx -v`: which product is here, for callers of `vmrun` that
//! ask one of these programs first. They are one program, told apart by its name.

use std::ffi::OsStr;
use std::path::Path;

/// The release whose ways `vmrun` has, and our own version as its build. Callers read the number and
/// want dots in it.
const RELEASE: &str = concat!(
    "17.6.2 build-",
    env!("CARGO_PKG_VERSION_MAJOR"),
    env!("CARGO_PKG_VERSION_MINOR"),
    env!("CARGO_PKG_VERSION_PATCH"),
);

/// What one of the programs says.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// On stdout.
    pub out: String,
    /// On stderr.
    pub err: String,
    /// The exit status.
    pub status: u8,
}

/// Answers the program `name`, called with `words`.
pub fn run(name: &OsStr, words: &[impl AsRef<OsStr>]) -> Said {
    let name = Path::new(name).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    if !words.first().is_some_and(|word| is_question(word.as_ref())) {
        let err =
            format!("{name} only tells its version here (-v): vmrun and replix do the rest\n");
        return Said {
            out: String::new(),
            err,
            status: 1,
        };
    }
    let product = if name == "vmplayer" {
        "Player"
    } else {
        "Workstation"
    };
    let answer = format!("VMware {product} {RELEASE}\n");
    // That one answers on stderr, and its callers read there.
    let (out, err) = match &*name {
        "vmware-vmx" => (String::new(), answer),
        _ => (answer, String::new()),
    };
    Said {
        out,
        err,
        status: 0,
    }
}

fn is_question(word: &OsStr) -> bool {
    ["-v", "--version"].iter().any(|known| word == *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, words: &[&str]) -> (String, String, u8) {
        let said = run(OsStr::new(name), words);
        (said.out, said.err, said.status)
    }

    #[test]
    fn each_program_answers_where_callers_read() {
        let answer = |product| format!("VMware {product} {RELEASE}\n");
        let none = String::new;
        let workstation = answer("Workstation");
        assert_eq!(said("vmware", &["-v"]), (workstation.clone(), none(), 0));
        assert_eq!(said("/x/vmplayer", &["-v"]), (answer("Player"), none(), 0));
        assert_eq!(said("/x/vmware-vmx", &["-v"]), (none(), workstation, 0));
    }

    #[test]
    fn release_is_a_dotted_number() {
        let (version, build) = RELEASE.split_once(" build-").unwrap();
        assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()));
        assert!(build.parse::<u64>().is_ok());
    }

    #[test]
    fn other_calls_fail() {
        for words in [&[][..], &["a.vmx"], &["-x", "-v"]] {
            let (out, err, status) = said("vmware", words);
            assert_eq!((out.as_str(), status), ("", 1));
            assert!(err.starts_with("vmware only tells its version"), "{err}");
        }
    }
}
