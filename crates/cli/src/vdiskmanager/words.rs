//! What is typed behind `vmware-vdiskmanager`: flags in any order, then the disk.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use replix::disk::{DiskCall, DiskFormat};
use replix::format::vmdk::SECTOR;

use crate::text::parse_size;

/// A call that makes sense.
#[derive(Debug, PartialEq)]
pub(super) struct Typed {
    /// The disk it is done to; a mount point for `-p`.
    pub disk: PathBuf,
    /// What is done, as a sentence has it.
    pub operation: Operation,
    /// The same for the engine, its paths as typed; `None` where it takes another way.
    pub call: Option<DiskCall>,
}

/// The operations, each a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `-c`
    Create,
    /// `-r`
    Convert,
    /// `-x`
    Expand,
    /// `-d`
    Defragment,
    /// `-k`
    Shrink,
    /// `-n`
    Rename,
    /// `-R`
    Repair,
    /// `-e`
    Check,
    /// `-D`
    MakeDeletable,
    /// `-U`
    Delete,
    /// `-p`
    Prepare,
}

/// Takes a call apart, as getopt does: flags of one letter may stand in one word, and a value in the
/// word of its flag, with or without a blank in between.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Typed, String> {
    let mut words = words.into_iter();
    let mut wanted = None;
    let mut names = Vec::new();
    let (mut size, mut adapter, mut format) = (None, None, None);
    while let Some(word) = words.next() {
        let mut letters = match word.as_bytes() {
            b"--" => {
                names.extend(words.by_ref().map(PathBuf::from));
                break;
            }
            [b'-', b'-', ..] => return Err(format!("{} is no option", word.display())),
            [b'-', letters @ ..] if !letters.is_empty() => letters,
            _ => {
                names.push(PathBuf::from(word));
                continue;
            }
        };
        while let [letter, rest @ ..] = letters {
            letters = rest;
            let flag = format!("-{}", letter.escape_ascii());
            let mut value = || match std::mem::take(&mut letters) {
                [] => words.next().ok_or(format!("{flag} needs a value")),
                rest => Ok(OsStr::from_bytes(rest.trim_ascii()).to_owned()),
            };
            let operation = match letter {
                b'c' => Operation::Create,
                b'd' => Operation::Defragment,
                b'k' => Operation::Shrink,
                b'R' => Operation::Repair,
                b'e' => Operation::Check,
                b'D' => Operation::MakeDeletable,
                b'U' => Operation::Delete,
                b'p' => Operation::Prepare,
                b'r' | b'n' => {
                    names.push(PathBuf::from(value()?));
                    match letter {
                        b'r' => Operation::Convert,
                        _ => Operation::Rename,
                    }
                }
                b'x' => {
                    size = Some(capacity(&value()?.to_string_lossy())?);
                    Operation::Expand
                }
                b's' => {
                    size = Some(capacity(&value()?.to_string_lossy())?);
                    continue;
                }
                b'a' => {
                    adapter = Some(value()?.to_string_lossy().to_lowercase());
                    continue;
                }
                b't' => {
                    format = Some(disk_type(&value()?.to_string_lossy())?);
                    continue;
                }
                // Nothing is logged anyway.
                b'q' => continue,
                b'h' | b'u' | b'f' | b'P' | b'S' => {
                    return Err(format!(
                        "{flag} is for disks on a server, which are not reached"
                    ));
                }
                _ => return Err(format!("{} is no option", option(&flag, &word))),
            };
            if wanted.replace(operation).is_some() {
                return Err("only one operation may be specified at a time".into());
            }
        }
    }
    let operation = wanted.ok_or("no operation is specified")?;
    let mut names = names.into_iter();
    let disk = names.next().ok_or(match operation {
        Operation::Prepare => "no mount point is named",
        _ => "no disk is named",
    })?;
    let missing = |flag: &str| format!("{flag} must be specified");
    let call = match operation {
        Operation::Create => Some(DiskCall::Create {
            format: format.ok_or_else(|| missing("the type of the disk (-t)"))?,
            capacity_bytes: size.ok_or_else(|| missing("the capacity of the disk (-s)"))?,
            adapter: adapter_type(adapter.as_deref()).to_owned(),
        }),
        Operation::Convert => Some(DiskCall::Convert {
            to: names.next().ok_or("no new disk is named")?,
            format: format.ok_or_else(|| missing("the type of the new disk (-t)"))?,
        }),
        Operation::Expand => Some(DiskCall::Grow {
            capacity_bytes: size.ok_or_else(|| missing("the new capacity"))?,
        }),
        Operation::Defragment | Operation::Shrink => Some(DiskCall::Compact),
        Operation::Rename => Some(DiskCall::Rename {
            to: names.next().ok_or("no new name is given")?,
        }),
        Operation::Repair => Some(DiskCall::Repair { dry_run: false }),
        Operation::MakeDeletable => Some(DiskCall::MakeDeletable),
        Operation::Delete => Some(DiskCall::Delete),
        Operation::Check | Operation::Prepare => None,
    };
    match names.next() {
        None => Ok(Typed {
            disk,
            operation,
            call,
        }),
        Some(more) => Err(format!("{} is one name too many", more.display())),
    }
}

/// Names an option that is none, with the word in which it stands with others.
fn option(flag: &str, word: &OsStr) -> String {
    match word.as_bytes().len() {
        ..=2 => flag.to_owned(),
        _ => format!("{flag} of {}", word.display()),
    }
}

/// Reads a capacity: `850MB`, `20G`, `2048` sectors.
fn capacity(text: &str) -> Result<u64, String> {
    let sectors = text.strip_suffix(['s', 'S']).unwrap_or(text);
    parse_size(sectors, SECTOR).ok_or(format!("{text} is no capacity: say 850MB, or 20GB"))
}

fn disk_type(text: &str) -> Result<DiskFormat, String> {
    match text {
        "0" => Ok(DiskFormat::MonolithicSparse),
        "1" => Ok(DiskFormat::SplitSparse),
        "2" => Ok(DiskFormat::MonolithicFlat),
        "3" => Ok(DiskFormat::SplitFlat),
        "4" => Ok(DiskFormat::VmfsThick),
        "5" => Ok(DiskFormat::StreamOptimized { level: None }),
        "6" => Ok(DiskFormat::VmfsThin),
        _ => Err(format!("{text} is no type of a disk, which is 0 to 6")),
    }
}

/// The three adapters that a disk can name; others go with the last one, as VMware's help has it.
fn adapter_type(text: Option<&str>) -> &str {
    match text {
        Some(known @ ("ide" | "buslogic")) => known,
        _ => "lsilogic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Typed, String> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn flags_stand_in_any_order() {
        let wanted = DiskCall::Create {
            format: DiskFormat::SplitSparse,
            capacity_bytes: 850 << 20,
            adapter: "ide".into(),
        };
        for line in [
            "-c -s 850MB -a ide -t 1 d.vmdk",
            "-t 1 -a IDE -s 850m d.vmdk -q -c",
        ] {
            let call = typed(line).unwrap();
            assert_eq!(call.disk, PathBuf::from("d.vmdk"));
            assert_eq!(call.call, Some(wanted.clone()));
        }
        let call = typed("-r a.vmdk -t 0 b.vmdk").unwrap();
        assert_eq!(call.disk, PathBuf::from("a.vmdk"));
        let to = "b.vmdk".into();
        let format = DiskFormat::MonolithicSparse;
        assert_eq!(call.call, Some(DiskCall::Convert { to, format }));
        let stream = typed("-r a.vmdk -t 5 b.vmdk").unwrap().call;
        let format = DiskFormat::StreamOptimized { level: None };
        let to = "b.vmdk".into();
        assert_eq!(stream, Some(DiskCall::Convert { to, format }));
        let capacity_bytes = 36 << 30;
        assert_eq!(
            typed("-x 36GB d.vmdk").unwrap().call,
            Some(DiskCall::Grow { capacity_bytes })
        );
        let to = "b.vmdk".into();
        let call = typed("-n a.vmdk b.vmdk").unwrap().call;
        assert_eq!(call, Some(DiskCall::Rename { to }));
        for (line, operation) in [
            ("-R d.vmdk", Operation::Repair),
            ("-e d.vmdk", Operation::Check),
            ("d.vmdk -D", Operation::MakeDeletable),
            ("-q -U d.vmdk", Operation::Delete),
            ("-p /mnt", Operation::Prepare),
        ] {
            assert_eq!(typed(line).unwrap().operation, operation, "{line}");
        }
        assert_eq!(typed("-d d.vmdk").unwrap().operation, Operation::Defragment);
        assert_eq!(typed("-k d.vmdk").unwrap().operation, Operation::Shrink);
    }

    #[test]
    fn values_and_flags_may_share_a_word() {
        let wanted = DiskCall::Create {
            format: DiskFormat::MonolithicSparse,
            capacity_bytes: 40 << 20,
            adapter: "ide".into(),
        };
        for words in [
            // As BOSH types it.
            &["-a ide", "-s 40MB", "-t 0", "-q", "-c", "d.vmdk"][..],
            &["-s40MB", "-t0", "-aide", "-c", "d.vmdk"],
            &["-qc", "-a", "ide", "-t\t0", "-s 40MB ", "d.vmdk"],
            &["-qca", "ide", "-qt0", "-s", "40MB", "--", "d.vmdk"],
            &["-cs40MB", "d.vmdk", "-a ide", "-t", "0"],
        ] {
            let call = parse(words.iter().map(OsString::from)).unwrap();
            assert_eq!(call.disk, PathBuf::from("d.vmdk"), "{words:?}");
            assert_eq!(call.call, Some(wanted.clone()), "{words:?}");
        }
        let name = OsStr::from_bytes(b"-r \xff.vmdk").to_owned();
        let call = parse([name, "-t0".into(), "--".into(), "-b".into()]).unwrap();
        assert_eq!(call.disk.as_os_str().as_bytes(), b"\xff.vmdk");
        let to = "-b".into();
        let format = DiskFormat::MonolithicSparse;
        assert_eq!(call.call, Some(DiskCall::Convert { to, format }));
        assert_eq!(
            typed("-ed.vmdk"),
            Err("only one operation may be specified at a time".into())
        );
    }

    #[test]
    fn adapters_that_disks_do_not_know_are_one_that_they_do() {
        for adapter in ["nvme", "sata", "pvscsi", "scsi", "lsilogic"] {
            let call = typed(&format!("-c -s 1GB -t 0 -a {adapter} d.vmdk"))
                .unwrap()
                .call;
            let Some(DiskCall::Create { adapter, .. }) = call else {
                panic!("{call:?}");
            };
            assert_eq!(adapter, "lsilogic");
        }
    }

    #[test]
    fn calls_that_make_no_sense_are_told_apart() {
        for (line, text) in [
            ("d.vmdk", "no operation is specified"),
            (
                "-c -d d.vmdk",
                "only one operation may be specified at a time",
            ),
            (
                "-c -s 1GB d.vmdk",
                "the type of the disk (-t) must be specified",
            ),
            (
                "-c -t 0 d.vmdk",
                "the capacity of the disk (-s) must be specified",
            ),
            ("-c -t 9 d.vmdk", "9 is no type of a disk, which is 0 to 6"),
            ("-x 1PB d.vmdk", "1PB is no capacity: say 850MB, or 20GB"),
            (
                "-x 99999999999TB d.vmdk",
                "99999999999TB is no capacity: say 850MB, or 20GB",
            ),
            ("-r a.vmdk -t 0", "no new disk is named"),
            ("-n a.vmdk", "no new name is given"),
            ("-p", "no mount point is named"),
            (
                "-S -h esx -r a.vmdk",
                "-S is for disks on a server, which are not reached",
            ),
            ("-d a.vmdk b.vmdk", "b.vmdk is one name too many"),
            ("-d", "no disk is named"),
            ("-y d.vmdk", "-y is no option"),
            ("-cy d.vmdk", "-y of -cy is no option"),
            ("--help", "--help is no option"),
            ("-c -s1PB", "1PB is no capacity: say 850MB, or 20GB"),
            (
                "-qdk d.vmdk",
                "only one operation may be specified at a time",
            ),
            ("-c -s", "-s needs a value"),
        ] {
            assert_eq!(typed(line).unwrap_err(), text, "{line}");
        }
    }
}
