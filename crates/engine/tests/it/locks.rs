//! Locks last as long as the process that they name, and no longer.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

use replix::Kind;
use replix::job::Job;
use replix::store::{Local, LockMode};
use replix::vm::lock::{Life, PATIENCE, RUNNER, VmLock, VmwareLock, holders, lock_for_process};
use replix::vm::{Env, PowerState, Settings, VmFolder, state};

fn env() -> Env {
    Env {
        store: Arc::new(Local),
        settings: Settings::default(),
    }
}

/// A process that lasts until it is ended here.
struct Other(Child);

impl Other {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn vm(dir: &Path) -> VmFolder {
    let vmx = dir.join("a.vmx");
    std::fs::write(&vmx, "displayName = \"a\"\n").unwrap();
    VmFolder::open(&Local, &vmx).unwrap()
}

#[test]
fn running_vm_is_on_until_its_process_ends() {
    let dir = tempfile::tempdir().unwrap();
    let vm = vm(dir.path());
    let mut runner = Other::start();
    let pid = runner.0.id();
    lock_for_process(&Local, vm.vmx(), LockMode::Exclusive, pid, RUNNER).unwrap();
    assert_eq!(state::read(&env(), &vm).state, PowerState::On);
    let refused = VmwareLock::take(&Local, vm.vmx(), LockMode::Exclusive).unwrap_err();
    assert_eq!(refused.kind(), Kind::FileLocked);
    assert!(refused.to_string().contains(&format!("process {pid}")));
    runner.end();
    assert_eq!(state::read(&env(), &vm).state, PowerState::Off);
    assert_eq!(holders(&Local, vm.vmx())[0].life, Life::Gone);
    drop(VmwareLock::take(&Local, vm.vmx(), LockMode::Exclusive).unwrap());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn many_writers_come_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let vm = vm(dir.path());
    let counter = dir.path().join("counter");
    std::fs::write(&counter, "0").unwrap();
    let job = Job::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mode = LockMode::Exclusive;
                let _ours = VmLock::acquire(&Local, vm.dir(), mode, &job, PATIENCE).unwrap();
                let _theirs = VmwareLock::take(&Local, vm.vmx(), mode).unwrap();
                let count: u32 = std::fs::read_to_string(&counter).unwrap().parse().unwrap();
                std::fs::write(&counter, (count + 1).to_string()).unwrap();
            });
        }
    });
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "8");
    assert!(holders(&Local, vm.vmx()).is_empty());
}

#[test]
fn folder_in_use_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let job = Job::new();
    let mode = LockMode::Exclusive;
    let _held = VmLock::acquire(&Local, dir.path(), mode, &job, PATIENCE).unwrap();
    let none = std::time::Duration::ZERO;
    let error = VmLock::acquire(&Local, dir.path(), mode, &job, none)
        .err()
        .unwrap();
    assert_eq!(error.kind(), Kind::FileLocked);
    let ours = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&ours), "{error}");
}
