//! stub
use super::{PowerState, VmFolder};
use crate::error::Result;
use crate::store::Store;
pub struct Observed {
    pub state: PowerState,
    pub holder: Option<String>,
}
pub fn observe(_s: &dyn Store, v: &VmFolder) -> Result<Observed> {
    Ok(Observed {
        state: if v.config.suspended_to().is_some() {
            PowerState::Suspended
        } else {
            PowerState::Off
        },
        holder: None,
    })
}
