//! What the C library costs on top of the engine: `overhead LIBRARY VMX FOLDER`.
//!
//! The VM has one snapshot, called `base`. Opening the VM and making a linked clone of that snapshot is
//! done through both, by turns, in one process; then a job that has nothing to do is started and waited
//! for. Prints medians. `cargo xtask bench` runs it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::time::{Duration, Instant};

use libloading::Library;
use replix::clone::{CloneKind, CloneSpec};
use replix::snapshot::SnapshotRef;
use vix::constants::*;

const CLONES: usize = 200;
const JOBS: usize = 20_000;

type Text = *const c_char;
type Data = *const c_void;
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

type Connect =
    unsafe extern "C" fn(c_int, c_int, Text, c_int, Text, Text, c_int, c_int, Data, Data) -> c_int;
type OpenVm = unsafe extern "C" fn(c_int, Text, c_int, c_int, Data, Data) -> c_int;
type Named = unsafe extern "C" fn(c_int, Text, *mut c_int) -> u64;
type Clone = unsafe extern "C" fn(c_int, c_int, c_int, Text, c_int, c_int, Data, Data) -> c_int;
type Register = unsafe extern "C" fn(c_int, Text, Data, Data) -> c_int;
type Wait = unsafe extern "C" fn(c_int, c_int, ...) -> u64;
type Release = unsafe extern "C" fn(c_int);

/// The functions of the library that a client of it needs here.
struct Vix {
    connect: Connect,
    open: OpenVm,
    named: Named,
    clone: Clone,
    register: Register,
    wait: Wait,
    release: Release,
}

impl Vix {
    fn load(path: &Path) -> Result<Self> {
        // SAFETY: it is our own library, whose initialisers do nothing.
        let library = Box::leak(Box::new(unsafe { Library::new(path)? }));
        // SAFETY: the functions have these types: include/vix.h.
        unsafe {
            Ok(Self {
                connect: *library.get(b"VixHost_Connect")?,
                open: *library.get(b"VixHost_OpenVM")?,
                named: *library.get(b"VixVM_GetNamedSnapshot")?,
                clone: *library.get(b"VixVM_Clone")?,
                register: *library.get(b"VixHost_RegisterVM")?,
                wait: *library.get(b"VixJob_Wait")?,
                release: *library.get(b"Vix_ReleaseHandle")?,
            })
        }
    }

    /// Waits for a job, releases it, and returns the handle that it made.
    fn result(&self, job: c_int) -> Result<c_int> {
        let mut made: c_int = 0;
        // SAFETY: the list of properties ends, and the place takes a handle.
        let error = unsafe { (self.wait)(job, VIX_PROPERTY_JOB_RESULT_HANDLE, &raw mut made, 0) };
        self.release(job);
        match error {
            VIX_OK => Ok(made),
            code => Err(format!("error {code}: {}", vix::error::text(code)).into()),
        }
    }

    fn release(&self, handle: c_int) {
        // SAFETY: any number may be released.
        unsafe { (self.release)(handle) }
    }

    fn host(&self) -> Result<c_int> {
        let (version, provider) = (VIX_API_VERSION, VIX_SERVICEPROVIDER_VMWARE_WORKSTATION);
        // SAFETY: no text is given, and no callback.
        let job = unsafe {
            (self.connect)(
                version,
                provider,
                null(),
                0,
                null(),
                null(),
                0,
                0,
                null(),
                null(),
            )
        };
        self.result(job)
    }

    /// Opens the VM and makes a linked clone of its snapshot.
    fn open_and_clone(&self, host: c_int, vmx: &CStr, destination: &CStr) -> Result {
        let mut snapshot: c_int = 0;
        // SAFETY: texts and the place for the snapshot are there; no callback is given.
        let clone = unsafe {
            let vm = self.result((self.open)(host, vmx.as_ptr(), 0, 0, null(), null()))?;
            (self.named)(vm, c"base".as_ptr(), &raw mut snapshot);
            let kind = VIX_CLONETYPE_LINKED;
            let to = destination.as_ptr();
            let job = (self.clone)(vm, snapshot, kind, to, 0, 0, null(), null());
            self.release(vm);
            self.result(job)?
        };
        self.release(snapshot);
        self.release(clone);
        Ok(())
    }

    /// Starts a job that finds at once that its argument is missing, and waits for it.
    fn empty_job(&self, host: c_int) -> Result {
        // SAFETY: a null text is allowed, and the list of properties is empty.
        unsafe {
            let job = (self.register)(host, null(), null(), null());
            (self.wait)(job, VIX_PROPERTY_NONE);
            self.release(job);
        }
        Ok(())
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn timed(work: impl FnOnce() -> Result) -> Result<Duration> {
    let start = Instant::now();
    work().map(|()| start.elapsed())
}

fn main() -> Result {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [library, vmx, folder] = &arguments[..] else {
        return Err("usage: overhead LIBRARY VMX FOLDER".into());
    };
    let vix = Vix::load(library)?;
    let host = vix.host()?;
    let c_text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes());
    let c_vmx = c_text(vmx)?;
    let engine = replix::Host::local()?;

    let by_engine = |name: &str| {
        let destination = folder.join(name).join("c.vmx");
        timed(|| {
            let mut spec = CloneSpec::new(CloneKind::Linked, destination);
            let vm = engine.open(vmx)?;
            let named = SnapshotRef::Name("base".into());
            let snapshot = vm.snapshots()?.find(&named)?.uid;
            spec.snapshot = Some(SnapshotRef::Uid(snapshot));
            vm.clone_to(spec).wait()?;
            Ok(())
        })
    };
    let by_library = |name: &str| {
        let destination = c_text(&folder.join(name).join("c.vmx"))?;
        timed(|| vix.open_and_clone(host, &c_vmx, &destination))
    };
    let (mut engines, mut libraries) = (Vec::new(), Vec::new());
    for turn in 0..CLONES {
        let (e, l) = (format!("e{turn}"), format!("l{turn}"));
        // Whoever comes second finds caches warm, and one more clone in the bookkeeping.
        if turn % 2 == 0 {
            engines.push(by_engine(&e)?);
            libraries.push(by_library(&l)?);
        } else {
            libraries.push(by_library(&l)?);
            engines.push(by_engine(&e)?);
        }
    }
    let jobs = (0..JOBS)
        .map(|_| timed(|| vix.empty_job(host)))
        .collect::<Result<Vec<_>>>()?;
    let (engine, library, job) = (median(engines), median(libraries), median(jobs));
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("{} {} {}", micros(engine), micros(library), micros(job));
    Ok(())
}
