//! VMware's lock of a file: a folder `FILE.lck` with a member file for each process that holds it.
//!
//! Who wants in first makes `D#####.lck` (a folder) and `E#####.lck` to say so, takes a number one
//! higher than any it finds, writes `M#####.lck`, removes the other two, and looks around: among
//! members that exclude each other the lower number wins, then the lower name.
//!
//! Who enters is waited for. Our entries tell at once whose they are: nobody waits for a process that is
//! proven to have ended there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::member::{Holder, Life, MEMBER_LEN};
use crate::error::{Error, Kind, Result, quoted};
use crate::store::machine::Process;
use crate::store::{FileKind, LockMode, Store, folder_of, read_small};

/// Program name in locks that last while an operation works on a file.
pub const WORKER: &str = "replix-work";
/// Program name in locks of a running VM; QEMU's own name counts as well.
pub const RUNNER: &str = "replix-vm";

/// How long others may take to enter. What is left of them then is of a process that died there.
const ENTRY_TIME: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 2000 });
const ENTRY_POLL: Duration = Duration::from_millis(10);
/// How often a place in the folder is sought.
const ATTEMPTS: usize = 50;

/// A lock of a file that this process holds until it drops this.
#[derive(Debug)]
pub struct VmwareLock<'a> {
    store: &'a dyn Store,
    /// Our member file; `None` in a folder where we may not write and need not.
    member: Option<PathBuf>,
}

impl<'a> VmwareLock<'a> {
    /// Locks the file `target` for the work of this process.
    ///
    /// A shared lock in a folder where we may not write is granted if nobody holds the file alone.
    ///
    /// # Errors
    /// `FileLocked` where somebody else holds it, named with process and program.
    pub fn take(store: &'a dyn Store, target: &Path, mode: LockMode) -> Result<Self> {
        let owner = Process {
            program: WORKER.into(),
            ..Process::this()
        };
        let member = match enter(store, target, &owner, mode) {
            Ok(member) => Some(member),
            Err(error) if mode == LockMode::Shared && is_read_only(&error) => {
                refuse_held(store, target, mode)?;
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { store, member })
    }
}

impl Drop for VmwareLock<'_> {
    fn drop(&mut self) {
        if let Some(member) = &self.member {
            leave(self.store, member);
        }
    }
}

/// Locks the file `target` for another process, for as long as that lives: nothing is released when
/// this process ends. Takes `program` for its name, see [`RUNNER`].
///
/// # Errors
/// As [`VmwareLock::take`]; `Internal` where there is no such process.
pub fn lock_for_process(
    store: &dyn Store,
    target: &Path,
    mode: LockMode,
    pid: u32,
    program: &str,
) -> Result<()> {
    let process = Process::find(pid).ok_or_else(|| {
        let text = format!("there is no process {pid} to hold {}", quoted(target));
        Error::new(Kind::Internal, text)
    })?;
    let owner = Process {
        program: program.into(),
        ..process
    };
    enter(store, target, &owner, mode).map(drop)
}

/// Removes from the lock of `target` what process `pid` of this machine holds, and what ended
/// processes left; what cannot be removed stays.
pub fn release(store: &dyn Store, target: &Path, pid: u32) {
    let folder = lock_folder(target);
    for (path, holder) in members(store, &folder) {
        if holder.life == Life::Gone || holder.is_local(pid) {
            let _ = store.remove_file(&path);
        }
    }
    let _ = store.remove_dir(&folder);
}

/// Returns who holds the file `target`, ended processes included.
pub fn holders(store: &dyn Store, target: &Path) -> Vec<Holder> {
    let folder = lock_folder(target);
    match kind_of(store, &folder) {
        Some(FileKind::Dir) => members(store, &folder)
            .into_iter()
            .map(|(_, holder)| holder)
            .collect(),
        // Products of twenty years ago made a file.
        Some(_) => vec![Holder {
            machine: String::new(),
            pid: 0,
            start: None,
            program: "an old product".into(),
            mode: LockMode::Exclusive,
            life: Life::Elsewhere,
            lamport: 0,
        }],
        None => Vec::new(),
    }
}

/// Fails where somebody holds `target` in a way that excludes `mode`.
///
/// # Errors
/// `FileLocked`.
pub fn refuse_held(store: &dyn Store, target: &Path, mode: LockMode) -> Result<()> {
    let held = |h: &Holder| h.life != Life::Gone && h.excludes(mode);
    match holders(store, target).into_iter().find(held) {
        Some(holder) => Err(held_by(target, &holder)),
        None => Ok(()),
    }
}

/// Returns the folder that is the lock of `target`.
pub fn lock_folder(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_os_string();
    name.push(".lck");
    name.into()
}

/// Returns the error for a file that `holder` holds.
pub fn held_by(target: &Path, holder: &Holder) -> Error {
    let text = format!("{} is in use by {holder}", quoted(target));
    let error = Error::new(Kind::FileLocked, text).at(target);
    match holder.life {
        Life::Elsewhere => error.hint(cure(target)),
        _ => error,
    }
}

/// What to do about a lock of another machine.
pub fn cure(target: &Path) -> String {
    format!(
        "if no other machine has it open, as after copying it from there, remove {}",
        quoted(lock_folder(target))
    )
}

/// The three kinds of entries, by the first letter of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Intent,
    Entry,
    Member,
}

impl Part {
    fn path(self, folder: &Path, number: u16) -> PathBuf {
        folder.join(format!("{}{number:05}.lck", self.letter()))
    }

    /// Returns the path of this part that has the number of the part at `path`.
    fn beside(self, path: &Path) -> Option<PathBuf> {
        let name = path.file_name()?.to_str()?;
        Some(path.with_file_name(format!("{}{}", self.letter(), name.get(1..)?)))
    }

    fn letter(self) -> char {
        match self {
            Self::Intent => 'D',
            Self::Entry => 'E',
            Self::Member => 'M',
        }
    }

    /// Tells what an entry of a lock folder is; others are none of ours.
    fn of(name: &str) -> Option<Self> {
        let number = name.get(1..)?.strip_suffix(".lck")?;
        if number.len() != 5 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        match name.as_bytes()[0] {
            b'D' => Some(Self::Intent),
            b'E' => Some(Self::Entry),
            b'M' => Some(Self::Member),
            _ => None,
        }
    }
}

/// Makes `owner` a holder of `target` and returns its member file.
fn enter(store: &dyn Store, target: &Path, owner: &Process, mode: LockMode) -> Result<PathBuf> {
    let folder = lock_folder(target);
    let number = find_place(store, target, &folder)?;
    let entered = announce(store, &folder, number, owner, mode);
    let _ = store.remove_file(&Part::Entry.path(&folder, number));
    let _ = store.remove_dir(&Part::Intent.path(&folder, number));
    let own = match entered {
        Ok(own) => own,
        Err(error) => {
            let _ = store.remove_dir(&folder);
            return Err(error);
        }
    };
    let member = Part::Member.path(&folder, number);
    await_entering(store, &folder);
    match rival(store, &folder, &member, &own) {
        None => Ok(member),
        Some(holder) => {
            leave(store, &member);
            Err(held_by(target, &holder))
        }
    }
}

/// Makes the folder and, under a number that nobody has, says that we want in.
fn find_place(store: &dyn Store, target: &Path, folder: &Path) -> Result<u16> {
    for _ in 0..ATTEMPTS {
        make_folder(store, target, folder)?;
        let number: u16 = rand::random();
        let taken = |part: Part| store.exists(&part.path(folder, number));
        if taken(Part::Member) || taken(Part::Entry) {
            continue;
        }
        match store.create_dir(&Part::Intent.path(folder, number)) {
            Ok(()) => return Ok(number),
            // Somebody has the number, or the last holder took the folder away just now.
            Err(error) if matches!(error.kind(), Kind::FileExists | Kind::FileNotFound) => {}
            Err(error) => {
                let _ = store.remove_dir(folder);
                return Err(error);
            }
        }
    }
    let text = format!("{} changes too fast to be locked", quoted(folder));
    Err(Error::new(Kind::FileLocked, text).at(target))
}

fn make_folder(store: &dyn Store, target: &Path, folder: &Path) -> Result<()> {
    match store.create_dir(folder) {
        Err(error) if error.kind() == Kind::FileExists => match kind_of(store, folder) {
            Some(FileKind::Dir) | None => Ok(()),
            Some(_) => refuse_held(store, target, LockMode::Exclusive),
        },
        made => made,
    }
}

/// What stands in the place of a lock folder; a link to a folder elsewhere is none.
fn kind_of(store: &dyn Store, folder: &Path) -> Option<FileKind> {
    let name = folder.file_name()?;
    let entries = store.list(folder_of(folder)).ok()?;
    let entry = entries.into_iter().find(|entry| entry.name == name);
    entry.map(|entry| entry.kind)
}

/// Writes our member, with a number higher than all there are. It is there at once and whole: who is
/// killed before leaves an entry, which others clear away. The entry says whose it is before it is said
/// what number is the highest.
fn announce(
    store: &dyn Store,
    folder: &Path,
    number: u16,
    owner: &Process,
    mode: LockMode,
) -> Result<Holder> {
    let entry = Part::Entry.path(folder, number);
    let file = store.create(&entry)?;
    let nameless = Holder::of(owner, mode, 0);
    file.write_at(&nameless.to_bytes(), 0)?;
    let others = members(store, folder);
    let highest = others.iter().map(|(_, holder)| holder.lamport).max();
    let lamport = highest.unwrap_or(0).saturating_add(1);
    let own = Holder {
        lamport,
        ..nameless
    };
    file.write_at(&own.to_bytes(), 0)?;
    store.rename_new(&entry, &Part::Member.path(folder, number))?;
    Ok(own)
}

/// Waits until those who are entering now have their members, and clears away who died there. Who
/// comes later finds our member.
fn await_entering(store: &dyn Store, folder: &Path) {
    let deadline = Instant::now() + ENTRY_TIME;
    let mut before: Option<Vec<(PathBuf, Part)>> = None;
    loop {
        let entering: Vec<(PathBuf, Part)> = entering(store, folder)
            .into_iter()
            .filter(|entry| before.as_ref().is_none_or(|b| b.contains(entry)))
            .collect();
        if entering.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            return clear(store, &entering);
        }
        before = Some(entering);
        std::thread::sleep(ENTRY_POLL);
    }
}

/// Returns what those made who are entering, and may live. What a process left that has ended is cleared
/// away; whoever has a member is in already.
fn entering(store: &dyn Store, folder: &Path) -> Vec<(PathBuf, Part)> {
    let parts = parts(store, folder);
    let holder_in = |part: Part, of: &Path| {
        let path = part.beside(of)?;
        Holder::parse(&text(store, &path)?)
    };
    let (mut entering, mut left) = (Vec::new(), Vec::new());
    for (path, part) in parts.into_iter().filter(|(_, part)| *part != Part::Member) {
        let member = holder_in(Part::Member, &path);
        let is_in = member.is_some() && part == Part::Intent;
        match member.or_else(|| holder_in(Part::Entry, &path)) {
            Some(holder) if holder.life == Life::Gone => left.push((path, part)),
            _ if is_in => {}
            _ => entering.push((path, part)),
        }
    }
    clear(store, &left);
    entering
}

fn clear(store: &dyn Store, left: &[(PathBuf, Part)]) {
    for (path, part) in left {
        let _ = match part {
            Part::Intent => store.remove_dir(path),
            _ => store.remove_file(path),
        };
    }
}

/// Returns who holds the file against us. Members of ended processes are removed, and those without a
/// text: nobody is writing them any more, and after a power failure that is what is left of one.
fn rival(store: &dyn Store, folder: &Path, member: &Path, own: &Holder) -> Option<Holder> {
    for (path, part) in parts(store, folder) {
        let is_blank = |bytes: Vec<u8>| bytes.iter().all(|byte| *byte == 0);
        if part == Part::Member && text(store, &path).is_some_and(is_blank) {
            let _ = store.remove_file(&path);
        }
    }
    let others = members(store, folder).into_iter();
    let mut rival = None;
    for (path, holder) in others.filter(|(path, _)| path != member) {
        if holder.life == Life::Gone {
            let _ = store.remove_file(&path);
        } else if holder.excludes(own.mode)
            && (holder.lamport, path.as_path()) < (own.lamport, member)
        {
            rival = Some(holder);
        }
    }
    rival
}

/// Removes our member, and the folder if it was the last.
fn leave(store: &dyn Store, member: &Path) {
    let _ = store.remove_file(member);
    if let Some(folder) = member.parent() {
        let _ = store.remove_dir(folder);
    }
}

fn parts(store: &dyn Store, folder: &Path) -> Vec<(PathBuf, Part)> {
    let entries = store.list(folder).unwrap_or_default().into_iter();
    entries
        // A link or a pipe is no part of a lock, and may lead anywhere.
        .filter(|entry| entry.kind != FileKind::Other)
        .filter_map(|entry| {
            let part = Part::of(&entry.name.to_string_lossy())?;
            Some((folder.join(&entry.name), part))
        })
        .collect()
}

fn members(store: &dyn Store, folder: &Path) -> Vec<(PathBuf, Holder)> {
    let members = parts(store, folder).into_iter();
    members
        .filter(|(_, part)| *part == Part::Member)
        .filter_map(|(path, _)| {
            let holder = Holder::parse(&text(store, &path)?)?;
            Some((path, holder))
        })
        .collect()
}

/// What is in a member file; `None` where it is gone, or too large to be one.
fn text(store: &dyn Store, member: &Path) -> Option<Vec<u8>> {
    read_small(store, member, 8 * MEMBER_LEN as u64).ok()
}

fn is_read_only(error: &Error) -> bool {
    matches!(error.kind(), Kind::Denied | Kind::ReadOnly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, write_new};

    const FILE: &str = "/a.vmx";

    fn take(store: &Mem, mode: LockMode) -> Result<VmwareLock<'_>> {
        VmwareLock::take(store, Path::new(FILE), mode)
    }

    fn put(store: &Mem, name: &str, text: &str) {
        let folder = lock_folder(Path::new(FILE));
        let _ = store.create_dir(&folder);
        write_new(store, &folder.join(name), text.as_bytes()).unwrap();
    }

    #[test]
    fn lock_is_there_while_held_and_gone_after() {
        let store = Mem::new();
        let lock = take(&store, LockMode::Exclusive).unwrap();
        let held = holders(&store, Path::new(FILE));
        assert_eq!(held.len(), 1);
        assert_eq!(
            (held[0].program.as_str(), held[0].life),
            (WORKER, Life::Lives)
        );
        drop(lock);
        assert!(!store.exists(Path::new("/a.vmx.lck")));
    }

    #[test]
    fn readers_share_and_a_writer_does_not() {
        let store = Mem::new();
        let first = take(&store, LockMode::Shared).unwrap();
        let second = take(&store, LockMode::Shared).unwrap();
        let error = take(&store, LockMode::Exclusive).unwrap_err();
        assert_eq!(error.kind(), Kind::FileLocked);
        assert!(error.to_string().contains(WORKER), "{error}");
        drop((first, second));
        let _writer = take(&store, LockMode::Exclusive).unwrap();
        assert!(take(&store, LockMode::Shared).is_err());
    }

    #[test]
    fn other_machines_lock_counts_and_has_a_cure() {
        let store = Mem::new();
        put(&store, "M00001.lck", "uuid=00 5-6(vmware-vmx.exe) 1 X 6");
        let error = take(&store, LockMode::Shared).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"/a.vmx\" is in use by vmware-vmx.exe (process 5) on another machine"
        );
        assert!(error.advice().unwrap().contains("\"/a.vmx.lck\""));
        assert!(store.exists(Path::new("/a.vmx.lck/M00001.lck")));
    }

    #[test]
    fn members_without_a_text_are_cleared() {
        let store = Mem::new();
        put(&store, "M00001.lck", "");
        put(&store, "M00002.lck", "\0\0\0");
        put(&store, "M00003.lck", "what is this");
        let lock = take(&store, LockMode::Exclusive).unwrap();
        let left = parts(&store, Path::new("/a.vmx.lck"));
        assert_eq!(left.len(), 2, "{left:?}");
        drop(lock);
        assert!(store.exists(Path::new("/a.vmx.lck/M00003.lck")));
    }

    #[test]
    fn left_over_members_are_cleared() {
        let store = Mem::new();
        let ended = Process {
            pid: std::process::id(),
            start: 1,
            program: "x".into(),
        };
        let text = Holder::of(&ended, LockMode::Exclusive, 3).to_bytes();
        put(&store, "M00001.lck", std::str::from_utf8(&text).unwrap());
        put(&store, "M00002.lck", "no member");
        let lock = take(&store, LockMode::Exclusive).unwrap();
        assert!(!store.exists(Path::new("/a.vmx.lck/M00001.lck")));
        drop(lock);
    }

    #[test]
    fn who_died_while_entering_is_cleared() {
        let store = Mem::new();
        put(&store, "E00001.lck", "");
        let folder = lock_folder(Path::new(FILE));
        store.create_dir(&folder.join("D00001.lck")).unwrap();
        drop(take(&store, LockMode::Exclusive).unwrap());
        assert!(!store.exists(&folder));
    }

    #[test]
    fn who_enters_is_waited_for_unless_it_is_proven_to_have_ended() {
        let folder = lock_folder(Path::new(FILE));
        let this = Process::this();
        let ended = Process {
            start: this.start + 1,
            ..this.clone()
        };
        // After so many changes it is killed: it has made the folders, the entry, said who it is in it,
        // said its number, made the member of it, and removed the folder `D`.
        for (owner, changes, is_waited_for) in [
            (&ended, 2, true),
            (&ended, 3, true),
            (&ended, 4, false),
            (&ended, 5, false),
            (&ended, 6, false),
            (&this, 4, true),
            (&this, 5, true),
            (&this, 6, false),
        ] {
            let store = Mem::new();
            store.limit_changes(Some(changes));
            // What it would clean up fails as well.
            let _ = enter(&store, Path::new(FILE), owner, LockMode::Exclusive);
            store.limit_changes(None);
            let entering = entering(&store, &folder);
            let case = (owner == &this, changes);
            assert_eq!(
                !entering.is_empty(),
                is_waited_for,
                "{case:?}: {entering:?}"
            );
            if owner == &ended {
                drop(take(&store, LockMode::Exclusive).unwrap());
                assert!(!store.exists(&folder), "{case:?}");
            }
        }
    }

    #[test]
    fn file_in_the_folders_place_is_a_lock() {
        let store = Mem::new();
        write_new(&store, Path::new("/a.vmx.lck"), b"").unwrap();
        let error = take(&store, LockMode::Shared).unwrap_err();
        assert_eq!(error.kind(), Kind::FileLocked);
    }

    #[test]
    fn lock_for_another_process_stays_until_released() {
        let store = Mem::new();
        let (file, pid) = (Path::new(FILE), std::process::id());
        lock_for_process(&store, file, LockMode::Exclusive, pid, RUNNER).unwrap();
        assert!(take(&store, LockMode::Exclusive).is_err());
        assert_eq!(holders(&store, file)[0].program, RUNNER);
        release(&store, file, pid);
        assert!(!store.exists(Path::new("/a.vmx.lck")));
        let gone = lock_for_process(&store, file, LockMode::Exclusive, u32::MAX, RUNNER);
        assert_eq!(gone.unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn one_of_many_gets_in() {
        let store = Mem::new();
        let won = std::sync::atomic::AtomicUsize::new(0);
        let barrier = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let lock = take(&store, LockMode::Exclusive);
                    won.fetch_add(
                        usize::from(lock.is_ok()),
                        std::sync::atomic::Ordering::SeqCst,
                    );
                    barrier.wait();
                });
            }
        });
        assert_eq!(won.into_inner(), 1);
        assert!(!store.exists(Path::new("/a.vmx.lck")));
    }
}
