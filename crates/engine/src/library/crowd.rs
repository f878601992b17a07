//! Many clones whose parent was renamed: looking at one of them, and mending it, costs as much as with few.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Finding, Library, Step, Trouble};
use crate::clone::crowd::{clone, library, vmx};
use crate::clone::testing::BASE;
use crate::error::Kind;
use crate::job::Job;
use crate::store::counting::Counting;
use crate::store::{Store, folder_of};

/// Where the parent is after it was renamed.
const MOVED: &str = "/vms/elsewhere";

/// What it costs.
#[derive(Debug, Default)]
struct Cost {
    /// Questions and changes of a look at all.
    look: u64,
    /// Names read from folders in it.
    names: u64,
    /// Questions and changes of mending all.
    mending: u64,
    /// Names read in it.
    names_mending: u64,
}

/// A library of so many clones whose parent was renamed.
fn lost(count: usize) -> (Counting, Library) {
    let (store, env) = library();
    for number in 0..count {
        clone(&env, number);
    }
    let base = folder_of(Path::new(BASE));
    store.rename_new(base, Path::new(MOVED)).unwrap();
    (store, Library::within(&env, &["/vms".into()]).unwrap())
}

fn cost_of(count: usize) -> Cost {
    let (store, library) = lost(count);
    let job = Job::new();
    let mut cost = Cost::default();
    let mut report = library.check(&job).unwrap();
    cost.look = store.calls_of(|| report = library.check(&job).unwrap());
    cost.names = store.names_of(|| report = library.check(&job).unwrap());
    let is_lost = |finding: &&Finding| finding.trouble == Trouble::ParentMissing;
    assert_eq!(report.findings.iter().filter(is_lost).count(), count);
    let steps = Library::repairs(&report);
    let hang = |number| Step::Relink {
        vm: vmx(number).into(),
        parent: Some(MOVED.into()),
    };
    assert_eq!(steps, (0..count).map(hang).collect::<Vec<_>>());
    let (first, second) = steps.split_at(count / 2);
    let mend = |steps| {
        let outcomes = library.carry_out(steps, &job).unwrap();
        assert!(outcomes.iter().all(|one| one.is_done), "{outcomes:?}");
    };
    cost.mending = store.calls_of(|| mend(first));
    cost.names_mending = store.names_of(|| mend(second));
    let report = library.check(&job).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    cost
}

#[test]
fn one_of_many_clones_costs_as_much_as_one_of_few() {
    let (few, many) = (cost_of(10), cost_of(60));
    let is_linear = |few: u64, many: u64| many < 6 * few + 6 * few / 4;
    assert!(
        is_linear(few.look, many.look)
            && is_linear(few.names, many.names)
            && is_linear(few.mending, many.mending)
            && is_linear(few.names_mending, many.names_mending),
        "of 10: {few:?}, of 60: {many:?}"
    );
}

#[test]
fn repair_that_is_cancelled_says_how_much_was_done() {
    let (_, library) = lost(4);
    let steps = Library::repairs(&library.check(&Job::new()).unwrap());
    let itself = Arc::new(OnceLock::<Job>::new());
    let seen = Arc::clone(&itself);
    let job = Job::observed(move |progress| {
        if progress.phase == "step 3 of 4" {
            seen.get().unwrap().cancel();
        }
    });
    assert!(itself.set(job.clone()).is_ok());
    let error = library.carry_out(&steps, &job).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(
        error.to_string().ends_with(": 2 of 4 steps were done"),
        "{error}"
    );
    // The rest is as it was, and can be done.
    let left = Library::repairs(&library.check(&Job::new()).unwrap());
    assert_eq!(left, steps[2..]);
}
