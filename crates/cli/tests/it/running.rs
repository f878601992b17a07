//! VMs that are started: their firmware runs, which is all that these tests need.

use crate::library::{Library, Program};

/// A library with a VM that can be started; `None`, said, where QEMU is missing.
pub fn startable() -> Option<Library> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    if !folders.any(|folder| folder.join("qemu-system-x86_64").is_file()) {
        eprintln!("skipped: QEMU is not installed");
        return None;
    }
    let library = Library::with_base();
    library.set("power.accelerator = \"tcg\"\n");
    Some(library)
}

/// A VM that runs; stopped when the test ends, however it does.
pub struct Running<'a>(&'a Library, &'a str);

impl<'a> Running<'a> {
    /// Stops it in the end, whoever starts it.
    pub fn watch(library: &'a Library, vmx: &'a str) -> Self {
        Self(library, vmx)
    }

    /// Starts it by `vmrun`, which must succeed in silence.
    pub fn start(library: &'a Library, vmx: &'a str) -> Self {
        let running = Self(library, vmx);
        library.silent(&["start", vmx, "nogui"]);
        running
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut stop = self.0.program(Program::Vmrun);
        let _ = stop.args(["stop", self.1, "hard"]).output();
    }
}
