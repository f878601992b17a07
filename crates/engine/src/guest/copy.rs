//! Copies between this machine and the guest, of files and of whole folders.
//!
//! What the guest says is not trusted: its names become parts of host paths only after they were
//! checked to be single names, its folders never lead through a link of ours, and it sends no more
//! than it announced.

use std::path::{Path, PathBuf};

use super::files::{self, absolute};
use super::session::Session;
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::store::{Access, FileKind, Meta, Store, folder_of, hidden_sibling};

/// What one question carries: the agent takes and gives it in one piece.
const PART: usize = 1 << 20;

/// No folder of a guest has more in it, all levels together.
const MOST_ENTRIES: usize = 1_000_000;

/// No folder of a guest is deeper below its root: each level is a call of ours in the one above.
const DEEPEST: usize = 256;

const WRITE: &str = r#"exec tee -- "$1" >/dev/null"#;
const APPEND: &str = r#"exec tee -a -- "$1" >/dev/null"#;
const MAKE_FOLDER: &str = r#"exec mkdir -p -- "$1""#;
const READ: &str = r#"exec dd if="$1" bs=1048576 skip="$2" count=1"#;

/// What is to be copied: folders before what is in them, from and to.
struct Plan<F, T> {
    folders: Vec<(F, T)>,
    files: Vec<(F, T, u64)>,
}

impl<F, T> Plan<F, T> {
    fn new() -> Self {
        Self {
            folders: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// Copies a file or folder of this machine into the guest.
///
/// # Errors
/// `FileNotFound`; what either system says.
pub(super) fn to_guest(session: &Session, from: &Path, to: &str) -> Result<()> {
    let (store, job) = (session.agent.store(), session.agent.job());
    let mut plan = Plan::new();
    let meta = store.meta(from)?;
    match meta.kind {
        FileKind::File => plan
            .files
            .push((from.into(), absolute(to)?.into(), meta.len)),
        FileKind::Dir => plan_host(store, from, absolute(to)?, &mut plan, job)?,
        FileKind::Other => return Err(no_file(from)),
    }
    job.phase(format!("copying {} to the guest", quoted(from)));
    job.expect_bytes(plan.files.iter().map(|(_, _, bytes)| bytes).sum());
    for (_, to) in &plan.folders {
        session.script(MAKE_FOLDER, &[to])?;
    }
    plan.files
        .iter()
        .try_for_each(|(from, to, bytes)| send(session, from, to, *bytes))
}

fn plan_host(
    store: &dyn Store,
    from: &Path,
    to: &str,
    plan: &mut Plan<PathBuf, String>,
    job: &Job,
) -> Result<()> {
    job.check()?;
    plan.folders.push((from.into(), to.into()));
    for entry in store.list(from)? {
        let path = from.join(&entry.name);
        let Some(name) = entry.name.to_str() else {
            let text = format!(
                "{} cannot be said to the guest: it is no UTF-8",
                quoted(&path)
            );
            return Err(Error::new(Kind::FileName, text).at(&path));
        };
        let place = inside(to, name);
        match entry.kind {
            FileKind::File => plan
                .files
                .push((path.clone(), place, store.meta(&path)?.len)),
            FileKind::Dir => plan_host(store, &path, &place, plan, job)?,
            FileKind::Other => job.warn(format!("{} is not copied: {LINK}", quoted(&path))),
        }
    }
    Ok(())
}

const LINK: &str = "it is a link or no file";

fn send(session: &Session, from: &Path, to: &str, bytes: u64) -> Result<()> {
    let file = session.agent.store().open(from, Access::Read)?;
    let mut offset = 0;
    loop {
        let mut part = vec![0; PART];
        let got = file.read_at(&mut part, offset)?;
        part.truncate(got);
        let script = if offset == 0 { WRITE } else { APPEND };
        if got > 0 || offset == 0 {
            session.script_fed(script, &[to], part)?;
        }
        offset += got as u64;
        session.agent.job().advance(got as u64);
        if got < PART || offset >= bytes {
            return Ok(());
        }
    }
}

/// Copies a file or folder of the guest to this machine.
///
/// # Errors
/// `FileNotFound`; what either system says; `Io` where the guest's answers do not fit each other.
pub(super) fn from_guest(session: &Session, from: &str, to: &Path) -> Result<()> {
    let (store, job) = (session.agent.store(), session.agent.job());
    let facts = files::look(session, from)?;
    let mut plan = Plan::new();
    if facts.is_folder() {
        plan_guest(session, from, to, &mut plan)?;
    } else if facts.is_file() {
        plan.files
            .push((from.to_string(), to.to_path_buf(), facts.bytes));
    } else {
        return Err(no_file(Path::new(from)));
    }
    let total = plan
        .files
        .iter()
        .fold(0_u64, |sum, (_, _, bytes)| sum.saturating_add(*bytes));
    require_space(store, to, total)?;
    job.phase(format!("copying from the guest to {}", quoted(to)));
    job.expect_bytes(total);
    for (index, (_, to)) in plan.folders.iter().enumerate() {
        make_folder(store, to, index == 0)?;
    }
    plan.files
        .iter()
        .try_for_each(|(from, to, bytes)| receive(session, from, to, *bytes))
}

fn plan_guest(
    session: &Session,
    from: &str,
    to: &Path,
    plan: &mut Plan<String, PathBuf>,
) -> Result<()> {
    if from.matches('/').count() > DEEPEST {
        let text = format!("folders of the guest are more than {DEEPEST} deep");
        return Err(Error::new(Kind::Io, text));
    }
    let entries = files::entries(session, from)?;
    plan.folders.push((from.into(), to.into()));
    for (name, facts) in entries {
        let Ok(name) = String::from_utf8(name) else {
            let text = format!("a name in {} of the guest is no UTF-8", quoted(from));
            return Err(Error::new(Kind::FileName, text));
        };
        let (path, place) = (inside(from, &name), to.join(&name));
        if facts.is_folder() {
            plan_guest(session, &path, &place, plan)?;
        } else if facts.is_file() {
            plan.files.push((path, place, facts.bytes));
        } else {
            let shown = quoted(&path);
            session
                .agent
                .job()
                .warn(format!("{shown} of the guest is not copied: {LINK}"));
        }
        if plan.folders.len() + plan.files.len() > MOST_ENTRIES {
            let text = format!("more than {MOST_ENTRIES} files and folders of the guest");
            return Err(Error::new(Kind::Io, text));
        }
    }
    Ok(())
}

/// Makes a folder of this machine, or takes the one that is there. Only the first, which the user
/// named, may be a link to one.
fn make_folder(store: &dyn Store, dir: &Path, may_be_link: bool) -> Result<()> {
    match store.create_dir(dir) {
        Err(error) if error.kind() == Kind::FileExists => {
            let is_dir = |meta: Meta| meta.kind == FileKind::Dir;
            let real = || {
                let entries = store.list(folder_of(dir)).unwrap_or_default().into_iter();
                let mut own = entries.filter(|entry| dir.ends_with(&entry.name));
                own.any(|entry| entry.kind == FileKind::Dir)
            };
            let fits = store.meta(dir).is_ok_and(is_dir) && (may_be_link || real());
            if fits { Ok(()) } else { Err(error) }
        }
        made => made,
    }
}

fn receive(session: &Session, from: &str, to: &Path, bytes: u64) -> Result<()> {
    let store = session.agent.store();
    if store.meta(to).is_ok_and(|meta| meta.kind == FileKind::Dir) {
        let text = format!("{} is a folder", quoted(to));
        return Err(Error::new(Kind::NotAFile, text).at(to));
    }
    let temporary = hidden_sibling(to);
    let received = fill(session, from, &temporary, bytes).and_then(|()| {
        if store.exists(to) {
            store.copy_ownership(to, &temporary);
        }
        store.rename(&temporary, to)
    });
    received.inspect_err(|_| {
        let _ = store.remove_file(&temporary);
    })
}

/// Fills a new file with what the guest sends. A file that grows is cut at the length that it had; one
/// that has no length, as in `/proc`, may have one part.
fn fill(session: &Session, from: &str, file: &Path, bytes: u64) -> Result<()> {
    let out = session.agent.store().create(file)?;
    let most = bytes.max(PART as u64);
    let mut offset = 0;
    loop {
        let number = (offset / PART as u64).to_string();
        let mut part = session.script(READ, &[absolute(from)?, &number])?;
        if part.len() > PART {
            return Err(lied(session, from));
        }
        let is_last = part.len() < PART;
        part.truncate(usize::try_from(most - offset).unwrap_or(PART));
        out.write_at(&part, offset)?;
        offset += part.len() as u64;
        session.agent.job().advance(part.len() as u64);
        if is_last || offset >= most {
            break;
        }
    }
    if offset < bytes {
        return Err(lied(session, from));
    }
    out.sync()
}

fn lied(session: &Session, from: &str) -> Error {
    let whose = quoted(session.agent.vmx());
    let text = format!(
        "{} in the guest of {whose} is not as long as it said",
        quoted(from)
    );
    Error::new(Kind::Io, text).at(session.agent.vmx())
}

fn require_space(store: &dyn Store, to: &Path, bytes: u64) -> Result<()> {
    let free = store.free_bytes(folder_of(to))?;
    if bytes <= free {
        return Ok(());
    }
    let text = format!(
        "{} has {free} bytes free, of {bytes} needed",
        quoted(folder_of(to))
    );
    Err(Error::new(Kind::NoSpace, text).at(to))
}

fn no_file(path: &Path) -> Error {
    Error::new(
        Kind::NotAFile,
        format!("{} is neither a file nor a folder", quoted(path)),
    )
    .at(path)
}

/// A path of the guest.
fn inside(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}
