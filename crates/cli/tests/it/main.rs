//! The two programs as their users run them: real processes, real files, all that they say and
//! leave behind. A module for each part of their promises.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod library;
mod mounted;
mod paused;
mod running;
mod said;

mod networks;
mod replix_calls;
mod replix_clone;
mod replix_delete;
mod replix_disk;
mod replix_info;
mod replix_power;
mod replix_serve;
mod replix_snapshot;
mod replix_tree;
mod vmrun_calls;
mod vmrun_clone;
mod vmrun_delete;
mod vmrun_devices;
mod vmrun_edges;
mod vmrun_guest;
mod vmrun_killed;
mod vmrun_limits;
mod vmrun_parallel;
mod vmrun_power;
mod vmrun_refused;
mod vmrun_snapshots;
