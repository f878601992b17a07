//! Paths of the host, in its convention: under Wine the host is the Linux machine below.

use std::ffi::c_void;

use vix::Text;
use vix::constants::*;
use windows::Win32::System::Memory::{GetProcessHeap, HEAP_FLAGS, HeapFree};
use windows_core::{s, w};

use crate::module::export;
use crate::types::InText;

/// Returns a path as the host knows it. What is no text is left for the object model to refuse.
pub(crate) fn to_host(path: InText) -> Text {
    match path.read() {
        Text::Some(path) => Text::Some(host_path(&path)),
        other => other,
    }
}

/// Returns the text of a property, as a path of the client's where it is one of the host's.
pub(crate) fn property(id: i32, text: String) -> String {
    match id {
        VIX_PROPERTY_VM_VMX_PATHNAME
        | VIX_PROPERTY_FOUND_ITEM_LOCATION
        | VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_HOST => Wine::find()
            .and_then(|wine| wine.dos(&text))
            .unwrap_or(text),
        _ => text,
    }
}

fn host_path(path: &str) -> String {
    if !is_dos(path) {
        return path.to_owned();
    }
    let path = single(path);
    Wine::find()
        .and_then(|wine| unix(&wine, &path))
        .unwrap_or(path)
}

/// Tells whether a path is one of Windows, from a drive or a share.
fn is_dos(path: &str) -> bool {
    match path.as_bytes() {
        [b'\\', ..] => true,
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// Returns a path whose doubled separators count as one; those in front name a share.
fn single(path: &str) -> String {
    let is_separator = |c: char| c == '\\' || c == '/';
    let mut single = String::new();
    for (index, c) in path.char_indices() {
        if !(is_separator(c) && index > 1 && single.ends_with(is_separator)) {
            single.push(c);
        }
    }
    single
}

/// Returns the Linux path of a Windows path: that of the deepest folder that is there, and the rest.
fn unix(wine: &Wine, path: &str) -> Option<String> {
    let mut rest = String::new();
    let mut there = path;
    loop {
        if let Some(folder) = wine.unix(there) {
            return Some(folder + &rest);
        }
        let at = there.rfind(['\\', '/'])?;
        let name = &there[at + 1..];
        rest = format!("/{name}{rest}");
        there = &there[..at];
    }
}

type ToUnix = unsafe extern "C" fn(*const u16) -> *mut u8;
type ToDos = unsafe extern "C" fn(*const u8) -> *mut u16;

/// What Wine's kernel32 has besides that of Windows.
#[derive(Clone, Copy)]
struct Wine {
    to_unix: ToUnix,
    to_dos: ToDos,
}

impl Wine {
    /// Returns it where this is Wine.
    fn find() -> Option<Self> {
        let kernel = w!("kernel32.dll");
        let (unix, dos) = (s!("wine_get_unix_file_name"), s!("wine_get_dos_file_name"));
        // SAFETY: functions of these names have these types; source: Wine's dlls/kernel32/path.c.
        unsafe {
            Some(Self {
                to_unix: std::mem::transmute::<*const c_void, ToUnix>(export(kernel, unix)?),
                to_dos: std::mem::transmute::<*const c_void, ToDos>(export(kernel, dos)?),
            })
        }
    }

    /// Returns the Linux path of a file; the file need not be there, its folder must.
    fn unix(self, path: &str) -> Option<String> {
        let path: Vec<_> = path.encode_utf16().chain([0]).collect();
        // SAFETY: a text with its end; the answer is null or one on the process' heap, for us to free.
        unsafe {
            let unix = (self.to_unix)(path.as_ptr());
            let text = (!unix.is_null())
                .then(|| std::ffi::CStr::from_ptr(unix.cast()).to_bytes().to_vec());
            free(unix.cast());
            String::from_utf8(text?).ok()
        }
    }

    /// Returns the Windows path of a file.
    fn dos(self, path: &str) -> Option<String> {
        let path: Vec<_> = path.bytes().chain([0]).collect();
        // SAFETY: as above.
        unsafe {
            let dos = (self.to_dos)(path.as_ptr());
            let text = (!dos.is_null()).then(|| windows_core::PCWSTR(dos).to_string());
            free(dos.cast());
            text?.ok()
        }
    }
}

/// # Safety
/// `block` is null, or from the process' heap.
unsafe fn free(block: *mut c_void) {
    // SAFETY: by the contract.
    let _ = unsafe { GetProcessHeap().and_then(|heap| HeapFree(heap, HEAP_FLAGS(0), Some(block))) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wine() -> Option<Wine> {
        let wine = Wine::find();
        if wine.is_none() {
            eprintln!("skipped: this is no Wine");
        }
        wine
    }

    #[test]
    fn doubled_separators_count_as_one() {
        let path = r"c:\\Virtual Machines\\vm2\\ubuntuClone.vmx";
        assert_eq!(single(path), r"c:\Virtual Machines\vm2\ubuntuClone.vmx");
        assert_eq!(single(r"\\server\share\\a.vmx"), r"\\server\share\a.vmx");
    }

    #[test]
    fn paths_of_linux_and_relative_ones_stay() {
        for path in ["/vms/a/a.vmx", "a.vmx", r"c:a.vmx", "", "[store] a/a.vmx"] {
            assert_eq!(host_path(path), path);
        }
    }

    #[test]
    fn missing_folders_follow_the_one_that_is_there() {
        let Some(wine) = wine() else {
            return;
        };
        let windows = unix(&wine, r"c:\windows").unwrap();
        let below = unix(&wine, r"c:\windows\none\such\a.vmx").unwrap();
        assert_eq!(below, format!("{windows}/none/such/a.vmx"));
        assert!(windows.starts_with('/'), "{windows}");
    }

    #[test]
    fn a_path_comes_back_as_it_went() {
        let Some(wine) = wine() else {
            return;
        };
        let dos = wine.dos("/tmp/a.vmx").unwrap();
        assert_eq!(unix(&wine, &dos).as_deref(), Some("/tmp/a.vmx"));
    }
}
