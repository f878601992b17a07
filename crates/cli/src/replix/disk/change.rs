//! `replix disk create|convert|grow|compact`: disks made and changed by themselves.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use replix::disk::{DiskCall, DiskFormat};
use replix::error::{escaped, quoted};
use replix::{Error, Kind};
use serde_json::json;

use super::{Failure, done, place};
use crate::replix::screen::Answer;
use crate::replix::session::Session;
use crate::text::{parse_size, size};

/// How a disk is laid out, by VMware's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One file that grows
    #[value(name = "monolithicSparse")]
    MonolithicSparse,
    /// Files of at most 4 GB that grow
    #[value(name = "twoGbMaxExtentSparse", alias = "splitSparse")]
    SplitSparse,
    /// One file, all its space taken
    #[value(name = "monolithicFlat")]
    MonolithicFlat,
    /// Files of at most 2 GB, all their space taken
    #[value(name = "twoGbMaxExtentFlat", alias = "splitFlat")]
    SplitFlat,
    /// One file as ESXi has it, all its space taken
    #[value(name = "vmfs", alias = "vmfsThick")]
    VmfsThick,
    /// One file as ESXi has it, which takes space as it is written
    #[value(name = "vmfsThin")]
    VmfsThin,
    /// One file of compressed grains, for ESXi and OVF tools; for convert only
    #[value(name = "streamOptimized", alias = "stream")]
    Stream,
    /// What a guest sees, byte for byte, in a file that says nothing of itself; for convert only
    #[value(name = "raw")]
    Raw,
}

impl Format {
    /// Returns the engine's word for it; `None` for what is no VMware disk. `level` is how hard a
    /// stream is compressed.
    fn of_disk(self, level: Option<u8>) -> Option<DiskFormat> {
        Some(match self {
            Self::MonolithicSparse => DiskFormat::MonolithicSparse,
            Self::SplitSparse => DiskFormat::SplitSparse,
            Self::MonolithicFlat => DiskFormat::MonolithicFlat,
            Self::SplitFlat => DiskFormat::SplitFlat,
            Self::VmfsThick => DiskFormat::VmfsThick,
            Self::VmfsThin => DiskFormat::VmfsThin,
            Self::Stream => DiskFormat::StreamOptimized { level },
            Self::Raw => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Adapter {
    Ide,
    Buslogic,
    Lsilogic,
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// The new disk: a .vmdk, beside which its other files stand
    file: PathBuf,
    /// Its capacity: 64M, 20G, 2T, or a number of bytes
    #[arg(value_parser = capacity)]
    size: u64,
    /// How it is laid out
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        default_value = "monolithicSparse"
    )]
    format: Format,
    /// The adapter that its geometry is made for
    #[arg(long, value_enum, ignore_case = true, default_value = "lsilogic")]
    adapter: Adapter,
}

#[derive(clap::Args)]
pub(super) struct Convert {
    /// The disk that is copied, with all that it stands on
    from: PathBuf,
    /// The new disk: a .vmdk, beside which its other files stand
    to: PathBuf,
    /// How the new disk is laid out
    #[arg(long, value_enum, ignore_case = true)]
    format: Format,
    /// How hard a stream is compressed, from 1, fast, to 9, small
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    level: Option<u8>,
    /// What is copied is a raw image, whatever it begins with
    #[arg(long)]
    from_raw: bool,
    /// The adapter that a raw image's disk is for
    #[arg(long, value_enum, ignore_case = true, default_value = "lsilogic")]
    #[arg(requires = "from_raw")]
    adapter: Adapter,
}

#[derive(clap::Args)]
pub(super) struct Export {
    /// The disk that is exported, with all that it stands on
    from: PathBuf,
    /// The new file: a .vmdk
    to: PathBuf,
    /// How hard it is compressed, from 1, fast, to 9, small
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    level: Option<u8>,
}

#[derive(clap::Args)]
pub(super) struct Import {
    /// What is imported: a stream from an OVF package or from ESXi, or any other disk
    from: PathBuf,
    /// The new disk: a .vmdk, beside which its other files stand
    to: PathBuf,
    /// How the new disk is laid out
    #[arg(
        long,
        value_enum,
        ignore_case = true,
        default_value = "monolithicSparse"
    )]
    format: Format,
    /// What is imported is a raw image, whatever it begins with
    #[arg(long)]
    from_raw: bool,
}

#[derive(clap::Args)]
pub(super) struct Grow {
    /// The disk: its .vmdk
    file: PathBuf,
    /// Its new capacity: 64M, 20G, 2T, or a number of bytes
    #[arg(value_parser = capacity)]
    size: u64,
}

fn capacity(text: &str) -> Result<u64, String> {
    let bytes = parse_size(text, 1).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "say 64M, 20G, or a number of bytes".to_string())
}

pub(super) fn create(args: &Create, session: &mut Session) -> Result<Answer, Failure> {
    let format = match args.format {
        Format::Stream => return Err(Failure::usage("nothing can be written to a stream")),
        format => format.of_disk(None),
    };
    let call = DiskCall::Create {
        format: format.ok_or_else(|| Failure::usage("a raw image needs no making: truncate"))?,
        capacity_bytes: args.size,
        adapter: word(&args.adapter),
    };
    let file = place::absolute(&args.file)?;
    require_ending(&file, args.format)?;
    done(&file, call, session)?;
    let what = format!("{}, {}", size(args.size), word(&args.format));
    made(&file, &what, session)
}

pub(super) fn export(args: &Export, session: &mut Session) -> Result<Answer, Failure> {
    let args = Convert {
        from: args.from.clone(),
        to: args.to.clone(),
        format: Format::Stream,
        level: args.level,
        from_raw: false,
        adapter: Adapter::Lsilogic,
    };
    convert(&args, session)
}

pub(super) fn import(args: &Import, session: &mut Session) -> Result<Answer, Failure> {
    let args = Convert {
        from: args.from.clone(),
        to: args.to.clone(),
        format: args.format,
        level: None,
        from_raw: args.from_raw,
        adapter: Adapter::Lsilogic,
    };
    convert(&args, session)
}

pub(super) fn convert(args: &Convert, session: &mut Session) -> Result<Answer, Failure> {
    if args.level.is_some() && args.format != Format::Stream {
        return Err(Failure::usage("--level is for streams"));
    }
    let to = place::absolute(&args.to)?;
    require_ending(&to, args.format)?;
    let path = to.clone();
    let call = match (args.format.of_disk(args.level), args.from_raw) {
        (Some(format), false) => DiskCall::Convert { to: path, format },
        (None, false) => DiskCall::ToRaw { to: path },
        (Some(format), true) => DiskCall::FromRaw {
            to: path,
            format,
            adapter: word(&args.adapter),
        },
        (None, true) => return Err(Failure::usage("a raw image is copied by: cp")),
    };
    done(&place::absolute(&args.from)?, call, session)?;
    made(&to, &word(&args.format), session)
}

pub(super) fn grow(args: &Grow, session: &mut Session) -> Result<Answer, Failure> {
    let file = place::absolute(&args.file)?;
    let call = DiskCall::Grow {
        capacity_bytes: args.size,
    };
    done(&file, call, session)?;
    session.screen.confirm(&format!(
        "grown to {}: {}",
        size(args.size),
        escaped(&file.to_string_lossy())
    ));
    Answer::new(json!({"path": file}))
}

pub(super) fn compact(file: &Path, session: &mut Session) -> Result<Answer, Failure> {
    let file = place::absolute(file)?;
    let before = allocated(&file, session)?;
    done(&file, DiskCall::Compact, session)?;
    let after = allocated(&file, session)?;
    session.screen.confirm(&format!(
        "compacted from {} to {}: {}",
        size(before),
        size(after),
        escaped(&file.to_string_lossy())
    ));
    Answer::new(json!({"path": file, "before_bytes": before, "after_bytes": after}))
}

/// The space that the disk's own files take.
fn allocated(file: &Path, session: &Session) -> Result<u64, Failure> {
    let report = session.host().provider().disk_info(file)?;
    Ok(report.links.first().map_or(0, |link| link.allocated_bytes))
}

/// Refuses a name that would hide what the file is: `d.qcow2` for a disk in the usual format.
fn require_ending(file: &Path, format: Format) -> Result<(), Failure> {
    let may_have_any_name = matches!(format, Format::Raw | Format::Stream);
    if may_have_any_name || file.extension().is_some_and(|ending| ending == "vmdk") {
        return Ok(());
    }
    let text = format!(
        "{} is no name for a disk: it must end in .vmdk",
        quoted(file)
    );
    Err(Error::new(Kind::FileName, text).at(file).into())
}

fn made(file: &Path, what: &str, session: &mut Session) -> Result<Answer, Failure> {
    let name = escaped(&file.to_string_lossy());
    session
        .screen
        .confirm(&format!("disk made, {what}: {name}"));
    Answer::new(json!({"path": file}))
}

fn word(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_string())
}
