//! Every input that fuzzing found worth keeping is run again.

use std::path::Path;

use crate::abi::Abi;

#[test]
fn corpus_crashes_nothing() {
    let folder = replix_testkit::folder();
    let abi = Abi::open(&crate::library(), folder.path());
    assert!(abi.names().len() >= 73, "{:?}", abi.names());
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/abi");
    let entries = std::fs::read_dir(corpus).unwrap();
    let inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() > 20, "{} inputs", inputs.len());
    for input in inputs {
        abi.run(&std::fs::read(input).unwrap());
    }
}
