//! stub
use super::*;
use crate::error::*;
use crate::format::vmdk::CreateType;
use crate::job::Job;
use crate::store::Store;
use std::path::Path;
pub enum ContentId {
    Keep,
    Fresh,
}
pub struct Copy<'a> {
    pub path: &'a Path,
    pub create_type: Option<CreateType>,
    pub uuid: Option<String>,
    pub content_id: ContentId,
}
pub struct Copied {
    pub bytes: u64,
}
pub fn copy(_s: &dyn Store, _c: &Chain, _t: &Copy<'_>, _j: &Job) -> Result<Copied> {
    Err(Error::new(Kind::NotSupported, "copy"))
}
pub fn merge(_c: &Chain, _j: &Job) -> Result<u64> {
    Err(Error::new(Kind::NotSupported, "merge"))
}
pub fn check(_o: &Opener, _p: &Path, _j: &Job) -> Result<CheckReport> {
    Err(Error::new(Kind::NotSupported, "check"))
}
impl Chain {
    pub fn data_bytes(&self) -> Result<u64> {
        Ok(0)
    }
}
