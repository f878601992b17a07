//! `replix list`: what runs here.

use replix::Vm;
use replix::error::escaped;
use serde_json::{Value, json};

use super::failure::Failure;
use super::info::state_name;
use super::screen::{Answer, to_json};
use super::session::Session;
use crate::text::columns;

/// List the VMs that run here
#[derive(clap::Args)]
pub(super) struct Args {}

/// Lists the VMs.
pub(super) fn run(_: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let running = session.host().running()?;
    let mut rows = Vec::new();
    let mut vms = Vec::new();
    for vm in &running {
        let (row, json) = describe(vm)?;
        rows.push(row);
        vms.push(json);
    }
    match rows.is_empty() {
        true => session.screen.confirm("no VM runs here"),
        false => session.screen.show(&columns(0, &rows)),
    }
    Answer::new(json!({"vms": vms}))
}

/// A VM that runs is listed even if its files are not to be read any more.
fn describe(vm: &Vm) -> Result<(Vec<String>, Value), Failure> {
    let info = vm.info().ok();
    let state = info.as_ref().map(|info| info.state);
    let name = info.map(|info| info.display_name);
    let row = vec![
        state.map_or("unknown", state_name).to_string(),
        escaped(&vm.path().to_string_lossy()),
        name.as_deref().map(escaped).unwrap_or_default(),
    ];
    let json = json!({"path": to_json(vm.path())?, "name": name, "state": state});
    Ok((row, json))
}
