//! Snapshots: the tree below and above one.

use windows_core::HRESULT;

use crate::guard::store;
use crate::handle::{Held, Snapshot, Snapshot_Impl};
use crate::interfaces::{ISnapshot, ISnapshot_Impl};
use crate::process::library;
use crate::types::{Out, OutObject};

/// Returns the object of a snapshot, and takes over a reference.
pub(crate) fn snapshot_of(handle: vix::Handle) -> Option<ISnapshot> {
    Some(Snapshot::new(Held::new(handle)).into())
}

impl ISnapshot_Impl for Snapshot_Impl {
    unsafe fn GetNumChildren(&self, number: Out<i32>, error: Out<u64>) -> HRESULT {
        store(number, error, || {
            library().num_child_snapshots(self.handle())
        })
    }

    unsafe fn GetChild(&self, index: i32, child: OutObject<ISnapshot>, error: Out<u64>) -> HRESULT {
        store(child, error, || {
            library()
                .child_snapshot(self.handle(), index)
                .map(snapshot_of)
        })
    }

    unsafe fn GetParent(&self, parent: OutObject<ISnapshot>, error: Out<u64>) -> HRESULT {
        store(parent, error, || {
            library().parent_snapshot(self.handle()).map(snapshot_of)
        })
    }
}
