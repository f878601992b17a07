//! Copies a virtual disk with all its parents to a new one, and says how its data got there.
//!
//! ```sh
//! cargo run -p replix --example copy_disk -- /vms/ubuntu/ubuntu.vmdk /backup/ubuntu.vmdk monolithicFlat
//! ```
//!
//! With `--calls` before them, it shares the same stretches of files with a plain file instead, and does
//! nothing else: what a copy on such a file system cannot be quicker than.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use replix::disk::{Chain, ContentId, Copy, Opener, Places, copy};
use replix::error::Kind;
use replix::format::vmdk::CreateType;
use replix::store::{Access, Local, Span, Store, folder_of};
use replix::{Error, Job, Result};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--calls", from, to] => calls(Path::new(from), Path::new(to)),
        [from, to] => copy_disk(Path::new(from), Path::new(to), None),
        [from, to, word] => copy_disk(Path::new(from), Path::new(to), Some(word)),
        _ => {
            eprintln!("usage: copy_disk [--calls] SOURCE.vmdk NEW [CREATETYPE]");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn open(path: &Path) -> Result<Chain> {
    let path = Local.canonical(path)?;
    let places = Places::of(&Local, folder_of(&path))?;
    Opener::new(Arc::new(Local), places).open(&path)
}

fn copy_disk(from: &Path, to: &Path, word: Option<&str>) -> Result<()> {
    let unknown = || Error::new(Kind::Argument, "no such create type");
    let create_type = word.map(|word| CreateType::parse(word).map_err(|_| unknown()));
    let spec = Copy {
        path: to,
        create_type: create_type.transpose()?,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    let chain = open(from)?;
    let start = Instant::now();
    let moved = copy(&Local, &chain, &spec, &Job::new())?.moved;
    Local.sync_dir(folder_of(to))?;
    println!(
        "{} us: {} bytes shared, {} handed over, {} written",
        start.elapsed().as_micros(),
        moved.shared,
        moved.handed_over,
        moved.written
    );
    Ok(())
}

/// Stretches of one file that go in one call.
fn spans(chain: &Chain) -> Result<Vec<(PathBuf, Span)>> {
    let mut spans: Vec<(PathBuf, Span)> = Vec::new();
    let mut to = 0;
    for entry in chain.map() {
        let entry = entry?;
        let Some(file) = entry.file else { continue };
        let len = entry.length / 65536 * 65536;
        match spans.last_mut() {
            Some((path, span)) if *path == file && span.from + span.len == entry.file_offset => {
                span.len += len;
            }
            _ if len == 0 => continue,
            _ => spans.push((
                file,
                Span {
                    from: entry.file_offset,
                    to,
                    len,
                },
            )),
        }
        to += len;
    }
    Ok(spans)
}

fn calls(from: &Path, to: &Path) -> Result<()> {
    let spans = spans(&open(from)?)?;
    let target = Local.create(to)?;
    let start = Instant::now();
    let mut opened: Option<(&Path, Box<dyn replix::store::Bytes>)> = None;
    for (path, span) in &spans {
        let source = match opened.take() {
            Some((known, file)) if known == path => file,
            _ => Local.open(path, Access::Read)?,
        };
        if !target.share_from(source.as_ref(), *span)? {
            return Err(Error::new(Kind::NotSupported, "these files share no blocks").at(path));
        }
        opened = Some((path, source));
    }
    target.sync()?;
    Local.sync_dir(folder_of(to))?;
    let micros = start.elapsed().as_micros();
    println!("{micros} us: {} calls", spans.len());
    Ok(())
}
