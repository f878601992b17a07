//! What tests share: VMs made to order, the programs we are checked against, folders compared.
//!
//! It panics where something a test relies on fails: a test has no better answer.
#![expect(
    clippy::missing_panics_doc,
    reason = "every helper panics when a test's ground breaks"
)]

mod c_client;
mod content;
mod edges;
mod esxi;
mod guests;
mod peers;
mod random;
mod skip;
mod tree;
mod user;
mod vms;

pub use c_client::{CProgram, Compiler, VixLibrary, valgrind};
pub use content::Content;
pub use edges::{Edge, edges};
pub use esxi::{Esxi, EsxiGrain, EsxiLink};
pub use guests::{guest_file, set_marker, ticking};
pub use peers::{is_written_by_qemu, peer, qemu_img, qemu_io, read_by_qemu, same_content};
pub use random::Random;
pub use skip::skip;
pub use tree::{Tree, hash_of, tree_of};
pub use user::User;
pub use vms::{DiskType, TestVm, VmBuilder, folder};
