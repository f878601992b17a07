//! How VMware names the files of a snapshot.

use std::path::Path;

use crate::store::Store;
use crate::vm::files;

/// Returns `stem` without a trailing `-NNNNNN`, the mark of a disk made by a snapshot.
pub(crate) fn without_number(stem: &str) -> &str {
    match stem.rsplit_once('-') {
        Some((base, digits))
            if digits.len() == 6
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !base.is_empty() =>
        {
            base
        }
        _ => stem,
    }
}

/// Returns the name of the disk that takes over from `disk` in `dir`: `STEM-000001.vmdk` with the
/// first number that no file there has.
pub(super) fn next_disk(store: &dyn Store, dir: &Path, disk: &Path) -> String {
    let name = disk.file_name().unwrap_or_default().to_string_lossy();
    let stem = without_number(files::stem(&name)).to_owned();
    let entries = store.list(dir).unwrap_or_default();
    let taken: Vec<String> = entries
        .iter()
        .map(|entry| entry.name.to_string_lossy().to_lowercase())
        .collect();
    let mut number = 1;
    loop {
        // Its extents begin alike: "web-000001-s001.vmdk".
        let child = format!("{stem}-{number:06}");
        let lower = child.to_lowercase();
        if !taken.iter().any(|name| name.starts_with(&lower)) {
            return format!("{child}.vmdk");
        }
        number += 1;
    }
}

/// Returns the name of the file with the state of snapshot `uid`.
pub(super) fn state_file(vm_stem: &str, uid: u32) -> String {
    format!("{vm_stem}-Snapshot{uid}.vmsn")
}

/// Returns the number of the snapshot whose state is in a file that is called so.
pub(super) fn number_of_state(vm_stem: &str, name: &str) -> Option<u32> {
    let prefix = format!("{vm_stem}-Snapshot").to_lowercase();
    let name = name.to_lowercase();
    let number = name.strip_prefix(&prefix)?.strip_suffix(".vmsn")?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, write_new};

    #[test]
    fn number_of_a_snapshot_disk_is_not_part_of_its_stem() {
        assert_eq!(without_number("web-000012"), "web");
        assert_eq!(without_number("web-cl1-000006"), "web-cl1");
        assert_eq!(without_number("web-12"), "web-12");
        assert_eq!(without_number("-000001"), "-000001");
    }

    #[test]
    fn state_files_are_numbered() {
        assert_eq!(number_of_state("web", &state_file("web", 12)), Some(12));
        assert_eq!(number_of_state("web", "WEB-snapshot3.VMSN"), Some(3));
        for name in [
            "web-Snapshot.vmsn",
            "web-2-Snapshot1.vmsn",
            "web-Snapshot1.vmem",
        ] {
            assert_eq!(number_of_state("web", name), None, "{name}");
        }
    }

    #[test]
    fn next_disk_takes_the_first_free_number() {
        let mem = Mem::new();
        for name in ["/web.vmdk", "/WEB-000001-s001.vmdk", "/web-000003.vmdk"] {
            write_new(&mem, Path::new(name), b"").unwrap();
        }
        assert_eq!(
            next_disk(&mem, Path::new("/"), Path::new("/web-000003.vmdk")),
            "web-000002.vmdk"
        );
    }
}
