//! Calls of the library made from bytes: any function, any arguments that a C compiler lets pass.
//!
//! Shared by the fuzz target `abi`, which makes up the bytes, and by the test that replays its
//! corpus. Handles and numbers are anything, texts anything that stays in a folder of ours, pointers
//! valid or null. What the functions are is read from `vix.h`, so none can be forgotten.

use std::ffi::{CString, c_int, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::Library;
use vix::constants::{self as c, PROPERTIES, PropertyType};

/// The most calls that one input makes.
const MOST_CALLS: usize = 24;

/// More arguments than any call here has. On the machines that we build for, a function does not look
/// at arguments past those it takes.
const ARGUMENTS: usize = 20;

type W = usize;
type AnyFunction =
    unsafe extern "C" fn(W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W) -> u64;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Handle,
    Number,
    Text,
    /// A place for an answer of this sort.
    Output(Answer),
    Buffer,
    Callback,
    ClientData,
    /// Pairs of property and place, or of property and value, the first property being a parameter.
    Variable,
}

/// What a place holds after a call that went well.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Number,
    Handle,
    Buffer,
}

struct Function {
    name: &'static str,
    returns_handle: bool,
    kinds: Vec<Kind>,
    address: AnyFunction,
}

/// The library, and the folder that calls happen in.
pub struct Abi {
    functions: Vec<Function>,
    folder: PathBuf,
}

/// The disk of the VM `shop`: 4 KiB, flat.
const DISK: &str = "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n\
    createType=\"monolithicFlat\"\nRW 8 FLAT \"shop-flat.vmdk\" 0\nddb.adapterType = \"lsilogic\"\n\
    ddb.geometry.cylinders = \"1\"\nddb.geometry.heads = \"1\"\nddb.geometry.sectors = \"8\"\n\
    ddb.virtualHWVersion = \"19\"\n";

const SHOP: &str = "scsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\n\
    scsi0:0.fileName = \"shop.vmdk\"\n";

/// The functions that a callback uses: wait, release, handle type.
static INSIDE: OnceLock<[AnyFunction; 3]> = OnceLock::new();

impl Abi {
    /// Opens the library at `path`; what is opened, cloned and deleted lies in `folder`.
    pub fn open(path: &Path, folder: &Path) -> Self {
        // SAFETY: it is our own library, whose initialisers do nothing.
        let library = unsafe { Library::new(path) }.expect("the library was built");
        // Never closed: its threads may still run.
        let library: &'static Library = Box::leak(Box::new(library));
        let function = |(returns, name, parameters): (&'static str, &'static str, &str)| {
            // SAFETY: the function of this name has these parameters, which a test of the header holds;
            // more arguments than it takes do no harm.
            let symbol = unsafe { library.get::<AnyFunction>(name.as_bytes()) };
            Function {
                name,
                returns_handle: returns == "VixHandle",
                kinds: parameters.split(',').filter_map(kind).collect(),
                address: *symbol.expect(name),
            }
        };
        let header = include_str!("../../include/vix.h");
        let abi = Self {
            functions: prototypes(header).map(function).collect(),
            folder: folder.to_path_buf(),
        };
        INSIDE.get_or_init(|| {
            ["VixJob_Wait", "Vix_ReleaseHandle", "Vix_GetHandleType"].map(|name| abi.address(name))
        });
        abi
    }

    /// Returns the names of the functions that may be called.
    #[allow(dead_code, reason = "the fuzz target does not ask")]
    pub fn names(&self) -> Vec<&'static str> {
        self.functions
            .iter()
            .map(|function| function.name)
            .collect()
    }

    /// Makes the calls that `bytes` stand for, then waits for all jobs and releases everything.
    pub fn run(&self, bytes: &[u8]) {
        self.furnish().expect("the folder takes VMs");
        let mut client = Client {
            abi: self,
            bytes,
            handles: Vec::new(),
            buffers: Vec::new(),
        };
        if client.byte() & 1 == 1 {
            client.open_vm();
        }
        for _ in 0..MOST_CALLS {
            if client.bytes.is_empty() {
                break;
            }
            let index = usize::from(client.byte()) % self.functions.len();
            client.call(&self.functions[index]);
        }
        client.finish();
    }

    /// Puts back the VMs that an earlier run deleted, and takes away its clones.
    fn furnish(&self) -> std::io::Result<()> {
        for clone in ["c0", "c1", "c2", "c3"] {
            let clone = self.folder.join(clone);
            if clone.exists() {
                fs::remove_dir_all(clone)?;
            }
        }
        for (name, more) in [("web", ""), ("shop", SHOP)] {
            let folder = self.folder.join(name);
            let vmx = folder.join(format!("{name}.vmx"));
            let disk = folder.join("shop.vmdk");
            if vmx.exists() && (more.is_empty() || disk.exists()) {
                continue;
            }
            fs::create_dir_all(&folder)?;
            fs::write(disk, DISK)?;
            fs::write(folder.join("shop-flat.vmdk"), [0; 8 * 512])?;
            fs::write(
                vmx,
                format!("config.version = \"8\"\ndisplayName = \"{name}\"\n{more}"),
            )?;
        }
        Ok(())
    }

    fn address(&self, name: &str) -> AnyFunction {
        let mut functions = self.functions.iter();
        functions
            .find(|function| function.name == name)
            .expect(name)
            .address
    }
}

/// One program that uses the library.
struct Client<'a> {
    abi: &'a Abi,
    bytes: &'a [u8],
    handles: Vec<i32>,
    buffers: Vec<usize>,
}

/// What a call is made with, kept until it returns.
#[derive(Default)]
struct Arguments {
    words: Vec<usize>,
    texts: Vec<CString>,
    places: Vec<(Box<u64>, Answer)>,
}

impl Client<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    fn any_number(&mut self) -> i32 {
        i32::from_ne_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn call(&mut self, function: &Function) {
        let mut arguments = Arguments::default();
        for kind in &function.kinds {
            match kind {
                Kind::Text => self.text(&mut arguments),
                Kind::Output(answer) => self.place(&mut arguments, *answer),
                Kind::Variable if function.name == "VixPropertyList_AllocPropertyList" => {
                    self.values(&mut arguments);
                }
                Kind::Variable => self.places(&mut arguments),
                plain => {
                    let word = self.word(*plain);
                    arguments.words.push(word);
                }
            }
        }
        let answer = invoke(function.address, &arguments.words);
        if function.returns_handle {
            self.handles.push(answer as i32);
            if self.byte() & 1 == 1 {
                self.take_result(answer as i32);
            }
        } else if answer == 0 {
            self.keep(&arguments);
        }
    }

    /// Waits for a job as most clients do, and takes its result.
    fn take_result(&mut self, job: i32) {
        let mut result = 0_i32;
        let place = &raw mut result as usize;
        let id = c::VIX_PROPERTY_JOB_RESULT_HANDLE as usize;
        if invoke(
            self.abi.address("VixJob_Wait"),
            &[job as usize, id, place, 0],
        ) == 0
        {
            self.handles.push(result);
        }
    }

    /// Does what nearly every client begins with: connects to the host and opens a VM.
    fn open_vm(&mut self) {
        let workstation = c::VIX_SERVICEPROVIDER_VMWARE_WORKSTATION as usize;
        let version = c::VIX_API_VERSION as usize;
        let connect = [version, workstation, 0, 0, 0, 0, 0, 0, 0, 0];
        let job = invoke(self.abi.address("VixHost_Connect"), &connect) as i32;
        self.handles.push(job);
        self.take_result(job);
        let host = self.handles.last().copied().unwrap_or_default() as usize;
        let vmx = self.abi.folder.join("shop/shop.vmx").display().to_string();
        let vmx = CString::new(vmx).unwrap_or_default();
        let open = [host, vmx.as_ptr() as usize, 0, 0, 0, 0];
        let job = invoke(self.abi.address("VixHost_OpenVM"), &open) as i32;
        self.handles.push(job);
        self.take_result(job);
    }

    fn word(&mut self, kind: Kind) -> usize {
        match kind {
            Kind::Handle => self.handle() as usize,
            Kind::Buffer => self.buffer(),
            Kind::Callback if self.byte() & 1 == 0 => 0,
            Kind::Callback => callback as *const () as usize,
            Kind::ClientData => usize::from(self.byte()),
            _ => self.number(),
        }
    }

    /// Keeps what a call answered in its places.
    fn keep(&mut self, arguments: &Arguments) {
        for (place, answer) in &arguments.places {
            match answer {
                Answer::Handle => self.handles.push(**place as i32),
                Answer::Buffer => self.buffers.push(**place as usize),
                Answer::Number => {}
            }
        }
    }

    fn handle(&mut self) -> i32 {
        match self.byte() {
            0 => c::VIX_INVALID_HANDLE,
            255 => self.any_number(),
            index => {
                let known = self.handles.len().max(1);
                let handle = self.handles.get(usize::from(index) % known);
                handle.copied().unwrap_or(i32::from(index))
            }
        }
    }

    fn number(&mut self) -> usize {
        match self.byte() {
            255 => usize::MAX,
            254 => self.any_number() as usize,
            253 => 1 << (self.byte() % 64),
            252 => self.property().0 as usize,
            small => usize::from(small % 16),
        }
    }

    fn property(&mut self) -> (i32, Option<PropertyType>) {
        let index = self.byte();
        match PROPERTIES.get(usize::from(index)) {
            Some(row) => (row.id, Some(row.kind)),
            None => (i32::from(index) * 300, None),
        }
    }

    fn text(&mut self, arguments: &mut Arguments) {
        let folder = self.abi.folder.display().to_string();
        let text = match self.byte() % 10 {
            0 => {
                arguments.words.push(0);
                return;
            }
            1 => Vec::new(),
            2 | 3 => format!("{folder}/web/web.vmx").into_bytes(),
            4 => format!("{folder}//shop/shop.vmx").into_bytes(),
            5 | 6 => format!("{folder}/c{0}/c{0}.vmx", self.byte() % 4).into_bytes(),
            7 => b"Clone".to_vec(),
            8 => b"\xff\xfe no text \xc0".to_vec(),
            _ => self.bytes_in(&folder),
        };
        let text = CString::new(text).unwrap_or_default();
        arguments.words.push(text.as_ptr() as usize);
        arguments.texts.push(text);
    }

    /// Returns a path in the folder that ends in bytes of the input.
    fn bytes_in(&mut self, folder: &str) -> Vec<u8> {
        let length = self.byte();
        let tail: Vec<u8> = (0..length).map(|_| self.byte()).collect();
        let leaves = tail.windows(2).any(|pair| pair == b"..");
        let tail = if leaves { &[] } else { &tail[..] };
        [folder.as_bytes(), b"/", tail].concat()
    }

    fn place(&mut self, arguments: &mut Arguments, answer: Answer) {
        if self.byte() == 255 {
            arguments.words.push(0);
            return;
        }
        let place = Box::new(0);
        arguments
            .words
            .push(std::ptr::from_ref::<u64>(&place) as usize);
        arguments.places.push((place, answer));
    }

    fn buffer(&mut self) -> usize {
        match self.byte() {
            0 => 0,
            // Some clients give the address of their variable.
            1 => std::ptr::from_ref(self) as usize,
            _ => self.buffers.pop().unwrap_or(0),
        }
    }

    fn places(&mut self, arguments: &mut Arguments) {
        arguments.words.pop();
        for _ in 0..self.byte() % 5 {
            let (id, kind) = self.property();
            arguments.words.push(id as usize);
            match kind {
                Some(PropertyType::Handle) => self.place(arguments, Answer::Handle),
                Some(PropertyType::String) => self.place(arguments, Answer::Buffer),
                Some(PropertyType::Blob) => {
                    self.place(arguments, Answer::Number);
                    self.place(arguments, Answer::Buffer);
                }
                _ => self.place(arguments, Answer::Number),
            }
        }
        arguments.words.push(0);
    }

    fn values(&mut self, arguments: &mut Arguments) {
        arguments.words.pop();
        for _ in 0..self.byte() % 5 {
            let (id, kind) = self.property();
            arguments.words.push(id as usize);
            match kind {
                Some(PropertyType::String) => self.text(arguments),
                Some(PropertyType::Handle) => {
                    let handle = self.handle();
                    arguments.words.push(handle as usize);
                }
                Some(PropertyType::Blob) => {
                    // No bytes: a length must fit what the pointer leads to.
                    arguments.words.push(0);
                    self.text(arguments);
                }
                _ => {
                    let number = self.number();
                    arguments.words.push(number);
                }
            }
        }
        arguments.words.push(0);
    }

    /// Waits for every job, and releases every handle however often it was counted.
    fn finish(&mut self) {
        let [wait, release, handle_type] =
            ["VixJob_Wait", "Vix_ReleaseHandle", "Vix_GetHandleType"]
                .map(|name| self.abi.address(name));
        for handle in &self.handles {
            let handle = *handle as usize;
            if invoke(handle_type, &[handle]) as i32 == c::VIX_HANDLETYPE_JOB {
                invoke(wait, &[handle, 0]);
            }
        }
        for handle in &self.handles {
            for _ in 0..MOST_CALLS {
                invoke(release, &[*handle as usize]);
            }
        }
        let free = self.abi.address("Vix_FreeBuffer");
        for buffer in &self.buffers {
            invoke(free, &[*buffer]);
        }
    }
}

/// A client's callback, of the kinds that `data` names.
unsafe extern "C" fn callback(job: c_int, _: c_int, info: c_int, data: *mut c_void) {
    let Some([wait, release, handle_type]) = INSIDE.get() else {
        return;
    };
    match data as usize % 4 {
        1 => invoke(*wait, &[job as usize, 0]),
        2 => invoke(*release, &[job as usize]),
        3 => invoke(*handle_type, &[info as usize]),
        _ => 0,
    };
}

fn invoke(function: AnyFunction, words: &[usize]) -> u64 {
    let mut all = [0; ARGUMENTS];
    all[..words.len()].copy_from_slice(words);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = all;
    // SAFETY: pointers among the words are valid or null, and live as long as the call.
    unsafe { function(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t) }
}

/// Returns return type, name and parameters of each function of a header.
fn prototypes(
    header: &'static str,
) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let parts = header.split(['/', '}', '{', '#']);
    parts.flat_map(|part| part.split(';')).filter_map(|part| {
        let (declaration, parameters) = part.split_once('(')?;
        let parameters = parameters.trim_end().strip_suffix(')')?;
        let declaration = declaration.trim();
        let (returns, name) = declaration.rsplit_once([' ', '*', '\n'])?;
        let is_ours = name.starts_with("Vix") && name.contains('_');
        is_ours.then_some((returns.trim(), name, parameters))
    })
}

fn kind(parameter: &str) -> Option<Kind> {
    let words: Vec<_> = parameter.split_whitespace().collect();
    let text = words.join(" ");
    let is_pointer = text.contains('*');
    Some(match *words.first()? {
        "void" if !is_pointer => return None,
        "void" if text.contains("clientData") => Kind::ClientData,
        "void" => Kind::Buffer,
        "..." => Kind::Variable,
        "const" => Kind::Text,
        "VixEventProc" => Kind::Callback,
        "VixHandle" if is_pointer => Kind::Output(Answer::Handle),
        "VixHandle" => Kind::Handle,
        _ if is_pointer => Kind::Output(Answer::Number),
        _ => Kind::Number,
    })
}
