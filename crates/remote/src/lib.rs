//! A host elsewhere: the engine's [`Provider`](replix::host::Provider) over the HTTP interface of a
//! host service.
//!
//! - `wire`: what travels

pub mod wire;
