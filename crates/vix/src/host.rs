//! Hosts: connecting, finding and opening VMs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use replix::Kind;

use crate::argument::{Text, no_list, options, refuse};
use crate::constants::*;
use crate::error::{Fault, Result};
use crate::job::{Callback, Run};
use crate::library::Library;
use crate::pool::Queue;
use crate::property::{Record, Value};
use crate::table::{Handle, Object};
use crate::vm::Vm;

/// The names of this machine that every machine has.
const LOCAL_NAMES: &[&str] = &["", "localhost", "127.0.0.1", "::1"];

/// A connection to an engine.
pub(crate) struct Host {
    pub(crate) engine: replix::Host,
    pub(crate) queue: Queue,
    provider: i32,
    connected: AtomicBool,
}

impl Host {
    /// # Errors
    /// `code` once the client has disconnected.
    pub(crate) fn require_connection(&self, code: u64) -> Result<()> {
        match self.connected.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(code.into()),
        }
    }

    /// # Errors
    /// `VIX_E_NOT_SUPPORTED` where the client asked for Player, which has no snapshots and no clones.
    pub(crate) fn require_workstation(&self) -> Result<()> {
        match self.provider {
            VIX_SERVICEPROVIDER_VMWARE_PLAYER => {
                let words = "the service provider Player cannot do this: connect to Workstation";
                Err(Fault::new(VIX_E_NOT_SUPPORTED, words))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn read(&self, id: i32) -> Result<Value> {
        self.require_connection(VIX_E_HOST_NOT_CONNECTED)?;
        match id {
            VIX_PROPERTY_HOST_HOSTTYPE => Ok(Value::Integer(self.provider)),
            VIX_PROPERTY_HOST_API_VERSION => Ok(Value::Integer(API_VERSION)),
            VIX_PROPERTY_HOST_SOFTWARE_VERSION => {
                Ok(Value::Text(format!("Replix {}", env!("CARGO_PKG_VERSION"))))
            }
            _ => Err(VIX_E_UNRECOGNIZED_PROPERTY.into()),
        }
    }
}

/// What `VIX_API_VERSION` stands for here: the functions of VIX 1.17, the last release.
const API_VERSION: i32 = 17;

/// What a client says of the host that it wants.
pub struct HostSpec {
    /// `VIX_API_VERSION`, or a release of VIX that the client was built for.
    pub api_version: i32,
    /// `VIX_SERVICEPROVIDER_*`.
    pub provider: i32,
    /// Name of the host; none for this machine.
    pub name: Text,
    /// User and password; this machine asks for none.
    pub account: (Text, Text),
    /// `VIX_HOSTOPTION_*`.
    pub options: i32,
    /// Must be `VIX_INVALID_HANDLE`.
    pub list: Handle,
}

impl HostSpec {
    fn check(self) -> Result<()> {
        no_list(self.list)?;
        options(
            self.options,
            VIX_HOSTOPTION_USE_EVENT_PUMP | VIX_HOSTOPTION_VERIFY_SSL_CERT,
        )?;
        if self.api_version < VIX_API_VERSION {
            return Err(VIX_E_WRAPPER_VERSION_NOT_FOUND.into());
        }
        match self.provider {
            VIX_SERVICEPROVIDER_DEFAULT
            | VIX_SERVICEPROVIDER_VMWARE_WORKSTATION
            | VIX_SERVICEPROVIDER_VMWARE_PLAYER => {}
            VIX_SERVICEPROVIDER_VMWARE_SERVER
            | VIX_SERVICEPROVIDER_VMWARE_VI_SERVER
            | VIX_SERVICEPROVIDER_VMWARE_WORKSTATION_SHARED => {
                return Err(VIX_E_WRAPPER_SERVICEPROVIDER_NOT_FOUND.into());
            }
            _ => return refuse("there is no such service provider"),
        }
        self.account.0.optional()?;
        self.account.1.optional()?;
        let name = self.name.optional()?.unwrap_or_default();
        match LOCAL_NAMES.contains(&name.as_str()) {
            true => Ok(()),
            false => Err(Fault::new(
                VIX_E_CANNOT_CONNECT_TO_HOST,
                "this service provider is the local machine: give no host name",
            )),
        }
    }
}

impl Library {
    /// Starts connecting to a host; the result is its handle.
    pub fn connect(&self, spec: HostSpec, callback: Option<Callback>) -> Handle {
        let pumped = spec.options & VIX_HOSTOPTION_USE_EVENT_PUMP != 0;
        let queue = self.queue(pumped);
        let connect = Arc::clone(&self.connect);
        self.start(pumped, callback, move |run| {
            let provider = match spec.provider {
                VIX_SERVICEPROVIDER_DEFAULT => VIX_SERVICEPROVIDER_VMWARE_WORKSTATION,
                named => named,
            };
            spec.check()?;
            let host = Host {
                engine: connect()?,
                queue,
                provider,
                connected: AtomicBool::new(true),
            };
            run.made(Object::Host(Arc::new(host)))
        })
    }

    /// Ends a connection and takes back one reference to its handle. What waits for the event pump of
    /// the host is done now, since nobody can pump for it any more.
    pub fn disconnect(&self, host: Handle) {
        if let Ok(object) = self.host(host) {
            object.connected.store(false, Ordering::Release);
            if let Queue::Pump(pump) = &object.queue {
                while pump.run_one() {}
            }
            self.release(host);
        }
    }

    /// Starts opening the VM at `path`; the result is its handle. `list` may hold its password.
    pub fn open_vm(
        &self,
        host: Handle,
        path: Text,
        options: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        let password = self.password(list);
        self.start_on_host(host, callback, move |host, run| {
            crate::argument::options(options, VIX_VMOPEN_NORMAL)?;
            let has_password = password?;
            let vm = Vm::open(host, &path.path()?)?;
            let summary = match vm.provider().summary(&vm.path) {
                // It was found, though its files are gone: it runs, and can be powered off.
                Err(error) if error.kind() == Kind::VmNotFound => {
                    return run.made(Object::Vm(Arc::new(vm)));
                }
                summary => summary?,
            };
            if summary.encrypted {
                return Err(encrypted(has_password));
            }
            // It opens all the same: what is missing may come back.
            let problems = vm.provider().disk_problems(&vm.path)?;
            problems
                .into_iter()
                .for_each(|problem| run.control.warn(problem));
            run.made(Object::Vm(Arc::new(vm)))
        })
    }

    /// Starts adding a VM to the inventory.
    pub fn register_vm(&self, host: Handle, path: Text, callback: Option<Callback>) -> Handle {
        self.start_on_host(host, callback, move |host, _| {
            let path = path.path()?;
            match host.engine.provider().register(&path) {
                // So the reference page of this one operation has it.
                Err(error) if error.kind() == Kind::VmNotFound => {
                    Err(Fault::new(VIX_E_NOT_FOUND, error.to_string()))
                }
                done => Ok(done.map(|()| Vec::new())?),
            }
        })
    }

    /// Starts taking a VM out of the inventory.
    pub fn unregister_vm(&self, host: Handle, path: Text, callback: Option<Callback>) -> Handle {
        self.start_on_host(host, callback, move |host, _| {
            host.engine.provider().unregister(&path.path()?)?;
            Ok(Vec::new())
        })
    }

    /// Starts looking for VMs; each one is an event, and a result of the job.
    pub fn find_items(
        &self,
        host: Handle,
        kind: i32,
        criteria: Handle,
        timeout: i32,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_host(host, callback, move |host, run| {
            no_list(criteria)?;
            if timeout < -1 {
                return refuse("the time limit must be -1");
            }
            let provider = host.engine.provider();
            let found = match kind {
                VIX_FIND_RUNNING_VMS => provider.running()?,
                VIX_FIND_REGISTERED_VMS => provider.registered()?,
                _ => return refuse("nothing of this kind can be looked for"),
            };
            found.iter().map(|path| report(path, run)).collect()
        })
    }

    /// Tells whether a property list holds a password.
    fn password(&self, list: Handle) -> Result<bool> {
        if list == VIX_INVALID_HANDLE {
            return Ok(false);
        }
        let list = self.list(list)?;
        Ok(list.read(VIX_PROPERTY_VM_ENCRYPTION_PASSWORD).is_ok())
    }
}

fn report(path: &std::path::Path, run: &Run) -> Result<Record> {
    let path = Value::Text(path.to_string_lossy().into_owned());
    let item = vec![(VIX_PROPERTY_FOUND_ITEM_LOCATION, path)];
    run.found(item.clone())?;
    Ok(item)
}

/// With a password it is no password that is missing, but our ability to use it.
fn encrypted(has_password: bool) -> Fault {
    match has_password {
        true => Fault::new(VIX_E_NOT_SUPPORTED, "encrypted VMs cannot be used here"),
        false => VIX_E_CRYPTO_NEED_PASSWORD.into(),
    }
}
