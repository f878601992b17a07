//! Registration: for all users where that is allowed, else for this one.
//!
//! What was registered is taken back where it is, and only if it is this DLL's.

use windows::Win32::System::Com::SYS_WIN64;
use windows::Win32::System::Ole::*;
use windows::Win32::System::Registry::*;
use windows_core::{GUID, HSTRING, PCWSTR, Result, w};

use crate::dll::{VIX_LIB, VIX_NAMES};
use crate::module;

/// The type library's.
const LIBRARY: GUID = GUID::from_u128(0x7a474ee3_0062_4239_ae91_134ac9bd5fd3);

const VERSION: (u16, u16) = (1, 0);

/// The classes: what they are created by.
const CLASSES: [(GUID, &str); 2] = [(VIX_LIB, "VixCOM.VixLib"), (VIX_NAMES, "VixCOM")];

/// Objects may be used by all threads, so every apartment gets them directly (docs/adr/0011).
const THREADING: &str = "Both";

/// Where classes stand: those of all users, and those of this one.
const PLACES: [HKEY; 2] = [HKEY_LOCAL_MACHINE, HKEY_CURRENT_USER];

/// Makes classes and type library known.
///
/// # Errors
/// What the system says when they cannot even be made known to this user.
pub(crate) fn register() -> Result<()> {
    let path = module::path()?;
    let [everybody, user] = PLACES;
    register_in(everybody, &path).or_else(|_| {
        // What was written until then.
        unregister_in(everybody, &path);
        register_in(user, &path)
    })
}

fn register_in(place: HKEY, path: &HSTRING) -> Result<()> {
    for (class, name) in CLASSES {
        let class = format!("{class:?}");
        let below = format!("CLSID\\{{{class}}}");
        let braced = format!("{{{class}}}");
        set(place, &below, "", name)?;
        set(
            place,
            &format!("{below}\\InprocServer32"),
            "",
            &path.to_string_lossy(),
        )?;
        set(
            place,
            &format!("{below}\\InprocServer32"),
            "ThreadingModel",
            THREADING,
        )?;
        set(place, &format!("{below}\\ProgID"), "", name)?;
        set(
            place,
            &format!("{below}\\TypeLib"),
            "",
            &format!("{{{LIBRARY:?}}}"),
        )?;
        set(place, name, "", name)?;
        set(place, &format!("{name}\\CLSID"), "", &braced)?;
    }
    let library = module::type_library()?;
    // SAFETY: texts and the library live as long as the calls.
    unsafe {
        match place {
            HKEY_LOCAL_MACHINE => RegisterTypeLib(&library, path, PCWSTR::null()),
            _ => RegisterTypeLibForUser(&library, path, PCWSTR::null()),
        }
    }
}

/// Takes back what [`register`] did.
///
/// # Errors
/// Where the DLL does not know where it is.
pub(crate) fn unregister() -> Result<()> {
    let path = module::path()?;
    for place in PLACES {
        unregister_in(place, &path);
    }
    Ok(())
}

/// Takes back what is there of this DLL's; what is another's, stays.
fn unregister_in(place: HKEY, path: &HSTRING) {
    let mut is_ours = false;
    for (class, name) in CLASSES {
        let below = format!("CLSID\\{{{class:?}}}");
        if get(place, &format!("{below}\\InprocServer32")).as_ref() == Some(path) {
            is_ours = true;
            remove(place, &below);
            remove(place, name);
        }
    }
    if is_ours {
        let (major, minor) = VERSION;
        // SAFETY: the identifiers are there. One that was not registered stays so.
        let _ = unsafe {
            match place {
                HKEY_LOCAL_MACHINE => UnRegisterTypeLib(&LIBRARY, major, minor, 0, SYS_WIN64),
                _ => UnRegisterTypeLibForUser(&LIBRARY, major, minor, 0, SYS_WIN64),
            }
        };
    }
}

/// Returns the name of a key of classes.
fn key(below: &str) -> HSTRING {
    HSTRING::from(format!("Software\\Classes\\{below}"))
}

fn set(place: HKEY, below: &str, name: &str, value: &str) -> Result<()> {
    let value: Vec<_> = value.encode_utf16().chain([0]).collect();
    let bytes = u32::try_from(size_of_val(&value[..])).expect("a path is short");
    // SAFETY: texts that live as long as the call, and the value is as long as is said.
    let set = unsafe {
        let data = Some(value.as_ptr().cast());
        RegSetKeyValueW(
            place,
            &key(below),
            &HSTRING::from(name),
            REG_SZ.0,
            data,
            bytes,
        )
    };
    set.ok()
}

/// Returns the value of a key.
fn get(place: HKEY, below: &str) -> Option<HSTRING> {
    let mut value = vec![0_u16; 1 << 15];
    let mut bytes = u32::try_from(size_of_val(&value[..])).ok()?;
    // SAFETY: texts that live as long as the call, and there is as much room as is said.
    let got = unsafe {
        let (data, size) = (Some(value.as_mut_ptr().cast()), Some(&raw mut bytes));
        RegGetValueW(place, &key(below), w!(""), RRF_RT_REG_SZ, None, data, size)
    };
    got.ok().ok()?;
    let end = value.iter().position(|unit| *unit == 0)?;
    Some(HSTRING::from_wide(&value[..end]))
}

fn remove(place: HKEY, below: &str) {
    // SAFETY: a text that lives as long as the call. What is not there need not be removed.
    let _ = unsafe { RegDeleteTreeW(place, &key(below)) };
}
