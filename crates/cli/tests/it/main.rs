//! The two programs as their users run them: real processes, real files, all that they say and
//! leave behind. A module for each part of their promises.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod cut;
mod guests;
mod library;
mod lives;
mod mounted;
mod namespace;
mod paused;
mod running;
mod said;

mod bad_vms;
mod crowd;
mod killed_at_random;
mod networks;
mod power_cut;
mod python_clients;
mod replix_calls;
mod replix_clone;
mod replix_console;
mod replix_delete;
mod replix_disk;
mod replix_info;
mod replix_library;
mod replix_pool;
mod replix_power;
mod replix_promote;
mod replix_serve;
mod replix_snapshot;
mod replix_tree;
mod vdiskmanager;
mod vmrun_calls;
mod vmrun_clone;
mod vmrun_delete;
mod vmrun_devices;
mod vmrun_edges;
mod vmrun_guest;
mod vmrun_guest_live;
mod vmrun_killed;
mod vmrun_limits;
mod vmrun_parallel;
mod vmrun_power;
mod vmrun_refused;
mod vmrun_shared_folders;
mod vmrun_snapshots;
