//! Placeholders until merging and checking land.
#![expect(missing_docs, reason = "placeholder")]
use std::path::Path;

use super::{Chain, CheckReport, Opener};
use crate::error::{Error, Kind, Result};
use crate::job::Job;

pub fn merge(_chain: &Chain, _job: &Job) -> Result<u64> {
    Err(Error::new(Kind::NotSupported, "merging comes later"))
}

pub fn check(_opener: &Opener, _path: &Path, _job: &Job) -> Result<CheckReport> {
    Err(Error::new(Kind::NotSupported, "checking comes later"))
}
