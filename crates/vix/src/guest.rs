//! The guest's operating system, shared folders and variables.
//!
//! What is asked for here goes to the engine as a `GuestCall`; its answers become results of jobs.

use std::sync::PoisonError;

use replix::guest::{GuestAnswer, GuestCall, GuestFile, GuestProcess, Login, SharedFolder};
use replix::vm::{Variable, VariableKind};

use crate::argument::{Text, options, refuse};
use crate::constants::*;
use crate::error::{Fault, Result};
use crate::job::{Callback, Run};
use crate::library::Library;
use crate::property::{Record, Value};
use crate::table::Handle;
use crate::vm::Vm;

/// The most bytes of interpreter and script together.
const SCRIPT_LIMIT: usize = 60_536;

/// A call for the guest, or why there can be none.
type Asked = Result<GuestCall>;

impl Library {
    /// Starts waiting for the agent in the guest; a limit of 0 or less is none.
    pub fn wait_for_tools(&self, vm: Handle, seconds: i32, callback: Option<Callback>) -> Handle {
        let seconds = u32::try_from(seconds).ok().filter(|seconds| *seconds > 0);
        self.ask(vm, callback, Ok(GuestCall::WaitForTools { seconds }))
    }

    /// Starts logging in; the login holds for this handle's operations until another one, or logout.
    pub fn login(
        &self,
        vm: Handle,
        account: (Text, Text),
        bits: i32,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            options(bits, VIX_LOGIN_IN_GUEST_REQUIRE_INTERACTIVE_ENVIRONMENT)?;
            let login = Login {
                user: account.0.required()?,
                password: account.1.optional()?.unwrap_or_default(),
                interactive: bits != 0,
            };
            let provider = vm.provider();
            provider.guest(&vm.path, Some(&login), &GuestCall::Login, &run.control)?;
            set_login(vm, Some(login));
            Ok(Vec::new())
        })
    }

    /// Starts logging out; without a login there is nothing to do.
    pub fn logout(&self, vm: Handle, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            let answer = call(vm, run, &GuestCall::Logout);
            set_login(vm, None);
            answer.map(records)
        })
    }

    /// Starts running a program in the guest.
    pub fn run_program(
        &self,
        vm: Handle,
        program: (Text, Text),
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = (|| {
            self.no_values(list)?;
            let (return_immediately, activate_window) = run_options(bits)?;
            Ok(GuestCall::RunProgram {
                program: program.0.required()?,
                arguments: program.1.optional()?.unwrap_or_default(),
                return_immediately,
                activate_window,
            })
        })();
        self.ask(vm, callback, asked)
    }

    /// Starts running a script in the guest.
    pub fn run_script(
        &self,
        vm: Handle,
        script: (Text, Text),
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = (|| {
            self.no_values(list)?;
            let (return_immediately, activate_window) = run_options(bits)?;
            let interpreter = script.0.optional()?.filter(|program| !program.is_empty());
            let text = script.1.required()?;
            if text.len() + interpreter.as_ref().map_or(0, String::len) > SCRIPT_LIMIT {
                return Err(VIX_E_ARGUMENT_TOO_BIG.into());
            }
            Ok(GuestCall::RunScript {
                interpreter,
                text,
                return_immediately,
                activate_window,
            })
        })();
        self.ask(vm, callback, asked)
    }

    /// Starts something that takes one text of the guest's, most often a path.
    pub fn ask_of(
        &self,
        vm: Handle,
        what: Text,
        bits: i32,
        list: Handle,
        make: impl FnOnce(String) -> GuestCall,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = self
            .plain(bits, list)
            .and_then(|()| Ok(make(what.required()?)));
        self.ask(vm, callback, asked)
    }

    /// Starts something that takes two texts, most often where from and where to.
    pub fn ask_of_two(
        &self,
        vm: Handle,
        (first, second): (Text, Text),
        bits: i32,
        list: Handle,
        make: impl FnOnce(String, String) -> GuestCall,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = self
            .plain(bits, list)
            .and_then(|()| Ok(make(first.required()?, second.required()?)));
        self.ask(vm, callback, asked)
    }

    /// Starts something that takes no more than options, which must be 0, and no list.
    pub fn ask_plainly(
        &self,
        vm: Handle,
        bits: i32,
        list: Handle,
        call: GuestCall,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = self.plain(bits, list).map(|()| call);
        self.ask(vm, callback, asked)
    }

    /// Starts telling of a shared folder.
    pub fn shared_folder(&self, vm: Handle, index: i32, callback: Option<Callback>) -> Handle {
        let asked = match u32::try_from(index) {
            Ok(index) => Ok(GuestCall::SharedFolder { index }),
            Err(_) => refuse("an index is never negative"),
        };
        self.ask(vm, callback, asked)
    }

    /// Starts sharing a folder of the host, or with `add` false changing what a share shows.
    pub fn share_folder(
        &self,
        vm: Handle,
        (name, host_path): (Text, Text),
        flags: i32,
        add: bool,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = (|| {
            options(flags, VIX_SHAREDFOLDER_WRITE_ACCESS)?;
            let (name, host_path) = (name.required()?, host_path.path()?);
            let writable = flags != 0;
            Ok(match add {
                true => GuestCall::AddSharedFolder {
                    name,
                    host_path,
                    writable,
                },
                false => GuestCall::SetSharedFolder {
                    name,
                    host_path,
                    writable,
                },
            })
        })();
        self.ask(vm, callback, asked)
    }

    /// Starts taking a picture of the guest's screen.
    pub fn capture_screen(
        &self,
        vm: Handle,
        format: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = match format {
            VIX_CAPTURESCREENFORMAT_PNG | VIX_CAPTURESCREENFORMAT_PNG_NOCOMPRESS => {
                self.no_values(list).map(|()| GuestCall::CaptureScreen)
            }
            _ => Err(VIX_E_SCREEN_CAPTURE_BAD_FORMAT.into()),
        };
        self.ask(vm, callback, asked)
    }

    /// Starts installing the agent in the guest.
    pub fn install_tools(
        &self,
        vm: Handle,
        bits: i32,
        arguments: Text,
        callback: Option<Callback>,
    ) -> Handle {
        let asked = (|| {
            const KNOWN: i32 = VIX_INSTALLTOOLS_AUTO_UPGRADE | VIX_INSTALLTOOLS_RETURN_IMMEDIATELY;
            options(bits, KNOWN)?;
            Ok(GuestCall::InstallTools {
                auto_upgrade: bits & VIX_INSTALLTOOLS_AUTO_UPGRADE != 0,
                return_immediately: bits & VIX_INSTALLTOOLS_RETURN_IMMEDIATELY != 0,
                arguments: arguments.optional()?,
            })
        })();
        self.ask(vm, callback, asked)
    }

    /// Starts reading a variable; an unknown one is an empty text.
    pub fn read_variable(
        &self,
        vm: Handle,
        kind: i32,
        name: Text,
        bits: i32,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            options(bits, 0)?;
            let name = name.required()?;
            let value = match variable_kind(kind)? {
                Some(kind) => vm
                    .provider()
                    .read_variable(&vm.path, &Variable { kind, name })?,
                None => match call(vm, run, &GuestCall::ReadEnvironment { name })? {
                    GuestAnswer::Text(value) => value,
                    other => return Err(odd(&other)),
                },
            };
            Ok(vec![vec![(
                VIX_PROPERTY_JOB_RESULT_VM_VARIABLE_STRING,
                Value::Text(value),
            )]])
        })
    }

    /// Starts writing a variable; the value may be empty.
    pub fn write_variable(
        &self,
        vm: Handle,
        kind: i32,
        (name, value): (Text, Text),
        bits: i32,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            options(bits, 0)?;
            let (name, value) = (name.required()?, value.given()?);
            match variable_kind(kind)? {
                Some(kind) => {
                    let variable = Variable { kind, name };
                    vm.provider().write_variable(&vm.path, &variable, &value)?;
                }
                None => {
                    call(vm, run, &GuestCall::WriteEnvironment { name, value })?;
                }
            }
            Ok(Vec::new())
        })
    }

    /// Starts a job that cannot be done by any VM of today, and says so: recordings and the like.
    pub fn refuse_removed(&self, vm: Handle, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, |_, _| {
            Err(Fault::new(
                VIX_E_NOT_SUPPORTED,
                "this function was removed from VIX",
            ))
        })
    }

    fn ask(&self, vm: Handle, callback: Option<Callback>, asked: Asked) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            let answer = call(vm, run, &asked?)?;
            Ok(records(answer))
        })
    }

    fn plain(&self, bits: i32, list: Handle) -> Result<()> {
        options(bits, 0)?;
        self.no_values(list)
    }

    /// Accepts no property list, or one in which nothing is.
    fn no_values(&self, list: Handle) -> Result<()> {
        match list {
            VIX_INVALID_HANDLE => Ok(()),
            list if self.list(list)?.is_empty() => Ok(()),
            _ => refuse("the property list must be empty"),
        }
    }
}

fn call(vm: &Vm, run: &Run, call: &GuestCall) -> Result<GuestAnswer> {
    let login = vm
        .login
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    Ok(vm
        .provider()
        .guest(&vm.path, login.as_ref(), call, &run.control)?)
}

fn set_login(vm: &Vm, login: Option<Login>) {
    *vm.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
}

fn run_options(bits: i32) -> Result<(bool, bool)> {
    options(
        bits,
        VIX_RUNPROGRAM_RETURN_IMMEDIATELY | VIX_RUNPROGRAM_ACTIVATE_WINDOW,
    )?;
    let has = |bit| bits & bit != 0;
    Ok((
        has(VIX_RUNPROGRAM_RETURN_IMMEDIATELY),
        has(VIX_RUNPROGRAM_ACTIVATE_WINDOW),
    ))
}

/// Returns the kind of a variable of the VM; `None` for one of the guest's environment.
fn variable_kind(kind: i32) -> Result<Option<VariableKind>> {
    match kind {
        VIX_VM_GUEST_VARIABLE => Ok(Some(VariableKind::Guest)),
        VIX_VM_CONFIG_RUNTIME_ONLY => Ok(Some(VariableKind::Config)),
        VIX_GUEST_ENVIRONMENT_VARIABLE => Ok(None),
        _ => refuse("there is no such type of variables"),
    }
}

fn odd(answer: &GuestAnswer) -> Fault {
    Fault::new(
        VIX_E_FAIL,
        format!("the host's answer does not fit: {answer:?}"),
    )
}

/// Returns an answer as the results of a job.
fn records(answer: GuestAnswer) -> Vec<Record> {
    match answer {
        GuestAnswer::Done => Vec::new(),
        GuestAnswer::Exists(there) => {
            vec![vec![(
                VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS,
                Value::Bool(there),
            )]]
        }
        GuestAnswer::Process {
            pid,
            seconds,
            exit_code,
        } => vec![vec![
            (VIX_PROPERTY_JOB_RESULT_PROCESS_ID, Value::Int64(pid)),
            (
                VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_ELAPSED_TIME,
                Value::Integer(seconds),
            ),
            (
                VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE,
                Value::Integer(exit_code),
            ),
        ]],
        GuestAnswer::Processes(processes) => processes.into_iter().map(process).collect(),
        GuestAnswer::File(of) => vec![file(of)],
        GuestAnswer::Directory(files) => files.into_iter().map(file).collect(),
        GuestAnswer::Text(text) => {
            vec![vec![(VIX_PROPERTY_JOB_RESULT_ITEM_NAME, Value::Text(text))]]
        }
        GuestAnswer::Count(count) => {
            let count = Value::Integer(i32::try_from(count).unwrap_or(i32::MAX));
            vec![vec![(VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_COUNT, count)]]
        }
        GuestAnswer::SharedFolder(of) => vec![share(of)],
        GuestAnswer::Image(bytes) => {
            let size = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
            vec![vec![
                (
                    VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_SIZE,
                    Value::Integer(size),
                ),
                (
                    VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA,
                    Value::Blob(bytes),
                ),
            ]]
        }
    }
}

fn process(process: GuestProcess) -> Record {
    let started = i32::try_from(process.started_s).unwrap_or(i32::MAX);
    vec![
        (VIX_PROPERTY_JOB_RESULT_ITEM_NAME, Value::Text(process.name)),
        (
            VIX_PROPERTY_JOB_RESULT_PROCESS_ID,
            Value::Int64(process.pid),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_PROCESS_OWNER,
            Value::Text(process.owner),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_PROCESS_COMMAND,
            Value::Text(process.command),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_PROCESS_BEING_DEBUGGED,
            Value::Bool(process.debugged),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_PROCESS_START_TIME,
            Value::Integer(started),
        ),
    ]
}

fn file(file: GuestFile) -> Record {
    let directory = if file.directory {
        VIX_FILE_ATTRIBUTES_DIRECTORY
    } else {
        0
    };
    let symlink = if file.symlink {
        VIX_FILE_ATTRIBUTES_SYMLINK
    } else {
        0
    };
    vec![
        (VIX_PROPERTY_JOB_RESULT_ITEM_NAME, Value::Text(file.name)),
        (
            VIX_PROPERTY_JOB_RESULT_FILE_FLAGS,
            Value::Integer(directory | symlink),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_FILE_SIZE,
            Value::Int64(file.bytes.cast_signed()),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_FILE_MOD_TIME,
            Value::Int64(file.modified_s),
        ),
    ]
}

fn share(folder: SharedFolder) -> Record {
    let flags = if folder.writable {
        VIX_SHAREDFOLDER_WRITE_ACCESS
    } else {
        0
    };
    let host = folder.host_path.to_string_lossy().into_owned();
    vec![
        (VIX_PROPERTY_JOB_RESULT_ITEM_NAME, Value::Text(folder.name)),
        (
            VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_HOST,
            Value::Text(host),
        ),
        (
            VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_FLAGS,
            Value::Integer(flags),
        ),
    ]
}
