//! Folders as lists of hashes, to see what an operation changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Every file below a folder with the SHA-256 of its bytes; folders have an empty one.
pub type Tree = BTreeMap<PathBuf, String>;

/// Returns the tree below `dir`, paths relative to it.
pub fn tree_of(dir: &Path) -> Tree {
    let mut tree = Tree::new();
    add(dir, dir, &mut tree);
    tree
}

fn add(root: &Path, dir: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(dir).expect("a test folder can be listed") {
        let path = entry.expect("a test folder can be listed").path();
        let name = path
            .strip_prefix(root)
            .expect("entries lie below the root")
            .to_path_buf();
        if path.is_dir() && !path.is_symlink() {
            tree.insert(name, String::new());
            add(root, &path, tree);
        } else {
            tree.insert(name, hash_of(&path));
        }
    }
}

/// Returns the SHA-256 of the file's bytes, in hexadecimal digits.
pub fn hash_of(path: &Path) -> String {
    let Ok(mut file) = std::fs::File::open(path) else {
        return "unreadable".into();
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = std::io::Read::read(&mut file, &mut buffer).expect("test files can be read");
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
