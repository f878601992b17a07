//! Every input that fuzzing found worth keeping is run again.

use std::path::Path;
use std::process::Command;

use replix_testkit::VixLibrary;

use crate::abi::Abi;

/// Set in the process that makes the calls, to the folder that they happen in.
const CALLS: &str = "REPLIX_TEST_CALLS";

/// Set there, too: the library's path, which the programs would tell that are missing there.
const LIBRARY: &str = "REPLIX_TEST_LIBRARY";

#[test]
fn corpus_crashes_nothing() {
    if let Some(folder) = std::env::var_os(CALLS) {
        make_calls(Path::new(&folder));
        return;
    }
    let folder = replix_testkit::folder();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fuzz_corpus::corpus_crashes_nothing"])
        .env(CALLS, folder.path())
        .env(LIBRARY, VixLibrary::find().path())
        // No program is to be started by what the inputs ask for.
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}", output.status);
}

fn make_calls(folder: &Path) {
    let library = std::env::var_os(LIBRARY).unwrap();
    let abi = Abi::open(Path::new(&library), folder);
    assert_eq!(abi.names().len(), 73, "{:?}", abi.names());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/abi");
    let entries = std::fs::read_dir(corpus).unwrap();
    let inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() > 100, "{} inputs", inputs.len());
    for input in inputs {
        abi.run(&std::fs::read(input).unwrap());
    }
}
