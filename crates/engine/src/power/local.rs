//! stub
use super::*;
use crate::error::*;
use crate::job::Job;
use crate::vm::StateReport;
use crate::vm::{Env, VmFolder};
use std::path::{Path, PathBuf};
pub fn state(e: &Env, v: &VmFolder) -> StateReport {
    crate::vm::state::read(&*e.store, v)
}
pub fn running(_e: &Env) -> Result<Vec<PathBuf>> {
    Ok(vec![])
}
pub struct Preview {
    pub accelerator: Option<String>,
    pub warnings: Vec<String>,
}
pub fn preview(_e: &Env, _v: &VmFolder) -> Preview {
    Preview {
        accelerator: None,
        warnings: vec![],
    }
}
pub fn start(_e: &Env, _v: &Path, _s: &StartSpec, _j: &Job) -> Result<()> {
    Err(Error::new(Kind::NotSupported, "x"))
}
pub fn stop(_e: &Env, _v: &Path, _s: StopMode, _j: &Job) -> Result<()> {
    Err(Error::new(Kind::NotSupported, "x"))
}
