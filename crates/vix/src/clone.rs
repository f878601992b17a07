//! Clones, and the end of a VM.

use std::sync::Arc;

use replix::clone::{CloneKind, CloneSpec, DeleteSpec};

use crate::argument::{Text, no_list, options, refuse};
use crate::constants::*;
use crate::error::Result;
use crate::job::Callback;
use crate::library::Library;
use crate::snapshot::Snapshot;
use crate::table::{Handle, Object};
use crate::vm::Vm;

/// What a client asks of a clone.
pub struct CloneRequest {
    /// The state to clone; `VIX_INVALID_HANDLE` is the current one.
    pub snapshot: Handle,
    /// `VIX_CLONETYPE_*`.
    pub kind: i32,
    /// Absolute path of the `.vmx` to create.
    pub destination: Text,
    /// Must be 0.
    pub options: i32,
    /// Must be `VIX_INVALID_HANDLE`.
    pub list: Handle,
}

impl Library {
    /// Starts cloning a VM; the result is the clone's handle.
    pub fn clone_vm(
        &self,
        vm: Handle,
        request: CloneRequest,
        callback: Option<Callback>,
    ) -> Handle {
        let snapshot = self.optional_snapshot(request.snapshot);
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            let spec = request.spec(vm, snapshot?.as_deref())?;
            let report = vm.provider().clone_vm(&vm.path, &spec, &run.control)?;
            report
                .warnings
                .into_iter()
                .for_each(|warning| run.control.warn(warning));
            run.made(Object::Vm(Arc::new(Vm::open(&vm.host, &report.path)?)))
        })
    }

    /// Starts deleting a VM. Its handle stays, to be released.
    pub fn delete(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            options(bits, VIX_VMDELETE_DISK_FILES)?;
            let spec = DeleteSpec {
                disks: bits & VIX_VMDELETE_DISK_FILES != 0,
                force: false,
            };
            vm.provider().delete(&vm.path, spec, &run.control)?;
            Ok(Vec::new())
        })
    }

    fn optional_snapshot(&self, handle: Handle) -> Result<Option<Arc<Snapshot>>> {
        match handle {
            VIX_INVALID_HANDLE => Ok(None),
            handle => self.snapshot(handle).map(Some),
        }
    }
}

impl CloneRequest {
    fn spec(self, vm: &Vm, snapshot: Option<&Snapshot>) -> Result<CloneSpec> {
        let kind = match self.kind {
            VIX_CLONETYPE_FULL => CloneKind::Full,
            VIX_CLONETYPE_LINKED => CloneKind::Linked,
            _ => return refuse("there is no such type of clones"),
        };
        options(self.options, 0)?;
        no_list(self.list)?;
        let mut spec = CloneSpec::new(kind, self.destination.path()?);
        spec.snapshot = snapshot.map(|snapshot| snapshot.of(vm)).transpose()?;
        Ok(spec)
    }
}
