//! Every input that fuzzing found worth keeping is run again.

use std::path::Path;

use replix_testkit::VixLibrary;

use crate::abi::Abi;

#[test]
fn corpus_crashes_nothing() {
    let library = VixLibrary::find().path();
    // SAFETY: this process runs this test alone, and no thread but those of the test harness, which
    // sleep until it ends. No program is to be started by what the inputs ask for.
    unsafe { std::env::set_var("PATH", "/nonexistent") };
    let folder = replix_testkit::folder();
    let abi = Abi::open(&library, folder.path());
    assert_eq!(abi.names().len(), 73, "{:?}", abi.names());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/abi");
    let entries = std::fs::read_dir(corpus).unwrap();
    let inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() > 100, "{} inputs", inputs.len());
    for input in inputs {
        abi.run(&std::fs::read(input).unwrap());
    }
}
