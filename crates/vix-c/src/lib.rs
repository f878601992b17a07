//! `libvixAllProducts.so`: the VIX C API over the object model of `vix`. Shims only.
//!
//! Each function is guarded against panics, reads its strings, makes one call of the object model and
//! stores what comes of it. A file is an area of `include/vix.h`, in the header's order.
#![expect(
    non_snake_case,
    reason = "the library's name, and those of its functions and their arguments, are VIX's"
)]

pub mod types;

mod buffer;
mod clone;
mod error;
mod file;
mod guard;
mod guest;
mod handle;
mod host;
mod job;
mod process;
mod program;
mod property;
mod recording;
mod screen;
mod shared_folders;
mod snapshot;
mod variable;
mod variadic;
mod vm;
