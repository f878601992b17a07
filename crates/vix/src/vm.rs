//! Virtual machines: the object, and its properties as they are now.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use replix::guest::{GuestAnswer, GuestCall, Login};
use replix::host::Provider;
use replix::job::Job;
use replix::vm::{PowerState, VmSummary};

use crate::constants::*;
use crate::error::Result;
use crate::host::Host;
use crate::property::Value;

/// A VM that a client has opened.
pub(crate) struct Vm {
    pub(crate) host: Arc<Host>,
    pub(crate) path: PathBuf,
    /// Who the client is in the guest.
    pub(crate) login: Mutex<Option<Login>>,
}

impl Vm {
    /// Opens the VM whose configuration is at `path`.
    ///
    /// # Errors
    /// `VIX_E_VM_NOT_FOUND`, `VIX_E_CANNOT_READ_VM_CONFIG`.
    pub(crate) fn open(host: &Arc<Host>, path: &Path) -> Result<Self> {
        Ok(Self {
            host: Arc::clone(host),
            path: host.engine.open(path)?.path().to_path_buf(),
            login: Mutex::default(),
        })
    }

    pub(crate) fn provider(&self) -> &(dyn Provider + 'static) {
        self.host.engine.provider()
    }

    pub(crate) fn summary(&self) -> Result<VmSummary> {
        Ok(self.provider().summary(&self.path)?)
    }

    /// Returns properties as they are now, those of the configuration all of one moment.
    pub(crate) fn read(&self, ids: &[i32]) -> Result<Vec<Value>> {
        self.host.require_connection(VIX_E_VM_HOST_DISCONNECTED)?;
        let mut facts = Facts {
            vm: self,
            summary: None,
        };
        ids.iter().map(|id| facts.read(*id)).collect()
    }
}

/// What is asked about a VM in one call.
struct Facts<'a> {
    vm: &'a Vm,
    summary: Option<VmSummary>,
}

impl Facts<'_> {
    fn read(&mut self, id: i32) -> Result<Value> {
        Ok(match id {
            VIX_PROPERTY_VM_NUM_VCPUS => Value::Integer(integer(self.summary()?.cpus.into())),
            VIX_PROPERTY_VM_MEMORY_SIZE => Value::Integer(integer(self.summary()?.memory_mib)),
            VIX_PROPERTY_VM_NAME => Value::Text(self.summary()?.display_name.clone()),
            VIX_PROPERTY_VM_GUESTOS => Value::Text(self.summary()?.guest_os.clone()),
            VIX_PROPERTY_VM_READ_ONLY => Value::Bool(self.summary()?.read_only),
            VIX_PROPERTY_VM_VMX_PATHNAME => {
                Value::Text(self.vm.path.to_string_lossy().into_owned())
            }
            VIX_PROPERTY_VM_POWER_STATE => Value::Integer(self.power_state()?),
            VIX_PROPERTY_VM_IS_RUNNING => Value::Bool(is_running(self.state()?)),
            VIX_PROPERTY_VM_TOOLS_STATE => Value::Integer(self.tools_state()),
            VIX_PROPERTY_VM_SUPPORTED_FEATURES => Value::Integer(self.features()),
            // Teams and recordings are history; our guests' channel has no certificate.
            VIX_PROPERTY_VM_IN_VMTEAM
            | VIX_PROPERTY_VM_IS_RECORDING
            | VIX_PROPERTY_VM_IS_REPLAYING => Value::Bool(false),
            VIX_PROPERTY_VM_VMTEAM_PATHNAME => Value::Text(String::new()),
            VIX_PROPERTY_VM_SSL_ERROR => Value::Int64(0),
            // Known while Tools run.
            VIX_PROPERTY_GUEST_SHAREDFOLDERS_SHARES_PATH => Value::Text(self.shares_path()),
            _ => return Err(VIX_E_UNRECOGNIZED_PROPERTY.into()),
        })
    }

    fn summary(&mut self) -> Result<&VmSummary> {
        match &mut self.summary {
            Some(summary) => Ok(summary),
            none => Ok(none.insert(self.vm.summary()?)),
        }
    }

    fn state(&self) -> Result<PowerState> {
        Ok(self.vm.provider().state(&self.vm.path)?)
    }

    /// The bits of the state; of a VM that runs, with whether its agent does.
    fn power_state(&self) -> Result<i32> {
        let state = self.state()?;
        let tools = match state {
            PowerState::On if self.tools_state() == VIX_TOOLSSTATE_RUNNING => {
                VIX_POWERSTATE_TOOLS_RUNNING
            }
            _ => 0,
        };
        Ok(power_state(state) | tools)
    }

    /// Whether the agent runs; that it is not installed nobody can tell from outside.
    fn tools_state(&self) -> i32 {
        let provider = self.vm.provider();
        match provider.guest(&self.vm.path, None, &GuestCall::CheckTools, &Job::new()) {
            Ok(GuestAnswer::Exists(true)) => VIX_TOOLSSTATE_RUNNING,
            _ => VIX_TOOLSSTATE_UNKNOWN,
        }
    }

    /// The guest's folder of shared folders; without an agent nobody mounts them.
    fn shares_path(&self) -> String {
        let runs = self.tools_state() == VIX_TOOLSSTATE_RUNNING;
        String::from(if runs { "/mnt/hgfs" } else { "" })
    }

    fn features(&self) -> i32 {
        const ALL: i32 = VIX_VM_SUPPORT_SHARED_FOLDERS
            | VIX_VM_SUPPORT_MULTIPLE_SNAPSHOTS
            | VIX_VM_SUPPORT_HARDWARE_UPGRADE;
        match self.vm.host.require_workstation() {
            Ok(()) => ALL,
            Err(_) => 0,
        }
    }
}

/// A number too large for VIX is told as the largest.
fn integer(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn is_running(state: PowerState) -> bool {
    match state {
        PowerState::On | PowerState::Paused | PowerState::Foreign => true,
        PowerState::Off | PowerState::Suspended | PowerState::Locked => false,
    }
}

/// Returns the `VIX_POWERSTATE_*` bits of a state.
fn power_state(state: PowerState) -> i32 {
    match state {
        PowerState::Off | PowerState::Locked => VIX_POWERSTATE_POWERED_OFF,
        PowerState::On | PowerState::Foreign => VIX_POWERSTATE_POWERED_ON,
        PowerState::Paused => VIX_POWERSTATE_POWERED_ON | VIX_POWERSTATE_PAUSED,
        PowerState::Suspended => VIX_POWERSTATE_SUSPENDED,
    }
}
