//! `VixCOM.dll`: the VIX object model for scripts, C++ and .NET, in their own process.
//!
//! - `dll`, `registry`: what COM asks of the DLL; `process`: the one object model, and when it may end
//! - `library`, `host`, `vm`, `vm2`, `snapshot`, `job`: the methods, each one call of the object model
//! - `handle`: what all objects answer; `names`: the constants for plain scripts
//! - `interfaces`, `types`: what COM calls, and what it passes
//! - `dispatch`, `face`, `script`, `callback`, `wait`: calls by name, and back to clients
//! - `variant`, `array`, `path`: values on their way in and out
//!
//! What clients may rely on is in docs/vix/com.md; apartments, threads and the end of the process are in
//! docs/adr/0011.

#![expect(non_snake_case, reason = "COM's names")]

mod array;
mod callback;
mod dispatch;
mod dll;
mod face;
mod guard;
mod handle;
mod host;
mod interfaces;
mod job;
mod library;
mod module;
mod names;
mod path;
mod process;
mod registry;
mod script;
mod snapshot;
mod types;
mod variant;
mod vm;
mod vm2;
mod wait;
