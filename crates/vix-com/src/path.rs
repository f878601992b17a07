//! Paths of the host, in its convention: under Wine the host is the Linux machine below.

use std::ffi::{CStr, c_char, c_void};
use std::fs;

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
        | VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_HOST => client_path(&text).unwrap_or(text),
        _ => text,
    }
}

fn host_path(path: &str) -> String {
    if !is_dos(path) {
        return path.to_owned();
    }
    let path = single(path);
    let unix = Wine::find().and_then(|wine| along(&path, '/', |there| wine.unix(there)));
    unix.unwrap_or(path)
}

/// Returns the Windows path of a Linux path.
fn client_path(path: &str) -> Option<String> {
    Wine::find()?;
    along(path, '\\', |there| {
        // By Wine's name for a Linux path; its function for this garbles others than ASCII in the locale C.
        let there = format!(r"\\?\unix{}", there.replace('/', r"\"));
        let resolved = fs::canonicalize(there).ok()?.into_os_string();
        let resolved = resolved.into_string().ok()?;
        Some(resolved.trim_start_matches(r"\\?\").to_owned())
    })
}

/// Returns another form of a path: that of the deepest folder that has one, and the rest.
fn along(path: &str, separator: char, form: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (mut there, mut rest) = (path, String::new());
    loop {
        if let Some(form) = form(there) {
            return Some(form + &rest);
        }
        let at = there.rfind(['\\', '/'])?;
        rest = format!("{separator}{}{rest}", &there[at + 1..]);
        there = &there[..at];
    }
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

type ToUnix = unsafe extern "C" fn(*const u16) -> *mut c_char;

/// What Wine's kernel32 has besides that of Windows.
struct Wine {
    to_unix: ToUnix,
}

impl Wine {
    /// Returns it where this is Wine.
    fn find() -> Option<Self> {
        let to_unix = export(w!("kernel32.dll"), s!("wine_get_unix_file_name"))?;
        // SAFETY: a function of this name has this type; source: Wine's dlls/kernel32/path.c.
        let to_unix = unsafe { std::mem::transmute::<*const c_void, ToUnix>(to_unix) };
        Some(Self { to_unix })
    }

    /// Returns the Linux path of a file; the file need not be there, its folder must.
    fn unix(&self, path: &str) -> Option<String> {
        let path: Vec<_> = path.encode_utf16().chain([0]).collect();
        // SAFETY: a text with its end; the answer is null, or one on the process' heap for us to free.
        unsafe {
            let unix = (self.to_unix)(path.as_ptr());
            let text = (!unix.is_null()).then(|| CStr::from_ptr(unix).to_owned());
            let _ = HeapFree(GetProcessHeap().ok()?, HEAP_FLAGS(0), Some(unix.cast()));
            text?.into_string().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wine() -> bool {
        let is_wine = Wine::find().is_some();
        if !is_wine {
            eprintln!("skipped: this is no Wine");
        }
        is_wine
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
        if is_wine() {
            let windows = host_path(r"c:\windows");
            let below = host_path(r"c:\windows\none\such\a.vmx");
            assert_eq!(below, format!("{windows}/none/such/a.vmx"));
            assert!(windows.starts_with('/'), "{windows}");
        }
    }

    #[test]
    fn path_comes_back_as_it_went() {
        if is_wine() {
            for path in [r"C:\windows", r"C:\windows\none\such\grün.vmx"] {
                assert_eq!(client_path(&host_path(path)).as_deref(), Some(path));
            }
            let dos = client_path("/tmp/none/a.vmx");
            assert_eq!(dos.as_deref(), Some(r"Z:\tmp\none\a.vmx"));
        }
    }
}
