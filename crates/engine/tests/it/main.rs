//! Integration tests of the engine: real files, real programs; a module for each promise.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod agent;
mod chain_properties;
mod clone_linked;
mod clone_of_clone;
mod clone_refused;
mod console;
mod disk_calls;
mod disk_chain;
mod disk_check;
mod disk_copy;
mod disk_create;
mod disk_esxi;
mod disk_hostile;
mod disk_limits;
mod disk_merge;
mod disk_packed;
mod disk_pieces;
mod disk_repair;
mod disk_samples;
mod disk_share;
mod disk_spare;
#[path = "../../examples/clone_linked.rs"]
#[expect(dead_code, reason = "its `main` is for the command line")]
mod example;
mod failing;
mod firmware;
mod format_properties;
mod from_windows;
mod guest_lies;
mod guest_operations;
mod guests;
mod hostile_vms;
mod inventory;
mod library;
mod live_snapshots;
mod locks;
mod matrix;
mod pool;
mod power_edges;
mod promote;
mod relink;
mod running;
mod sample_vms;
mod samples;
mod servant;
mod shared_folders;
mod snapshot_limits;
mod snapshots;
mod suspended;
mod tools;
mod vms;
mod vnc;
mod volumes;
mod windows;
mod working_folder;
