//! The disks of a machine that runs, exchanged below its devices (docs/adr/0001).
//!
//! A device sees `diskN`, which is open on the links of a disk, or on nothing: then their files are
//! free to be worked on, and QEMU saves the machine, which it refuses while a VMDK is open. Both
//! steps may be repeated, and go on from whatever an interrupted one has left. The guest does not
//! execute meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::machine::{link_name, link_node, seam_name, seam_node};
use super::qmp::Control;
use super::runtime::Runtime;
use super::user;
use crate::disk::Chain;
use crate::error::Result;

/// What QEMU calls the nothing that a disk is open on.
fn away_name(index: usize) -> String {
    format!("{}-away", seam_name(index))
}

/// The block nodes of a machine: names, and sizes in bytes.
type Nodes = BTreeMap<String, u64>;

fn nodes(control: &mut Control) -> Result<Nodes> {
    Ok(control.nodes()?.into_iter().collect())
}

/// The numbers of the disks.
fn disks(nodes: &Nodes) -> impl Iterator<Item = usize> {
    (0..).take_while(|index| nodes.contains_key(&seam_name(*index)))
}

/// The heights at which links of a disk are open.
fn heights(nodes: &Nodes, index: usize) -> std::ops::Range<usize> {
    let mut end = 0;
    while nodes.contains_key(&link_name(index, end)) {
        end += 1;
    }
    0..end
}

/// Closes the links of all disks.
///
/// # Errors
/// What QEMU says.
pub(super) fn let_go(control: &mut Control) -> Result<()> {
    let nodes = nodes(control)?;
    for index in disks(&nodes) {
        let away = away_name(index);
        if !nodes.contains_key(&away) {
            let size = nodes.get(&seam_name(index));
            control.add_node(json!({
                "driver": "null-co", "node-name": away, "size": size, "read-zeroes": true,
            }))?;
        }
        control.reopen_node(seam_node(index, &away))?;
        for height in heights(&nodes, index).rev() {
            control.remove_node(&link_name(index, height))?;
        }
    }
    Ok(())
}

/// Opens `chains`, the disks in order, in place of what the machine had open.
///
/// # Errors
/// What QEMU says; those of presenting links.
pub(super) fn take_up(control: &mut Control, run: &Runtime, chains: &[Chain]) -> Result<()> {
    let_go(control)?;
    for (index, chain) in chains.iter().enumerate() {
        let paths = run.present_chain(index, chain)?;
        user::give_disk(run, chain)?;
        for (height, path) in paths.iter().rev().enumerate() {
            control.add_node(link_node(index, height, path, height + 1 == paths.len()))?;
        }
        let top = link_name(index, paths.len().saturating_sub(1));
        control.reopen_node(seam_node(index, &top))?;
        control.remove_node(&away_name(index))?;
    }
    Ok(())
}

/// Tells whether the machine has exactly the links of `chains` open.
///
/// # Errors
/// What QEMU says.
pub(super) fn stands_on(control: &mut Control, run: &Runtime, chains: &[Chain]) -> Result<bool> {
    let nodes = nodes(control)?;
    let is_open = |(index, chain): (usize, &Chain)| {
        let links = chain.links();
        let presented = |height| run.presented(index, height);
        let open: Vec<Option<PathBuf>> = heights(&nodes, index).rev().map(presented).collect();
        let wanted: Vec<Option<PathBuf>> =
            links.iter().map(|link| Some(link.path().into())).collect();
        !nodes.contains_key(&away_name(index)) && open == wanted
    };
    Ok(chains.iter().enumerate().all(is_open))
}
