//! What is said about a disk to people and programs.

use super::chain::{Chain, Survey};
use super::link::Link;
use super::{DiskReport, LinkReport};
use crate::format::vmdk::{NO_PARENT, SECTOR};
use crate::store::Store;

impl Survey {
    /// Describes the links that were found.
    pub fn report(&self, store: &dyn Store) -> DiskReport {
        of_links(store, &self.links)
    }
}

impl Chain {
    /// Describes the disk.
    pub fn report(&self, store: &dyn Store) -> DiskReport {
        of_links(store, self.links())
    }
}

fn of_links(store: &dyn Store, links: &[Link]) -> DiskReport {
    DiskReport {
        capacity_bytes: links.first().map_or(0, |top| top.sectors() * SECTOR),
        links: links.iter().map(|link| of_link(store, link)).collect(),
    }
}

fn of_link(store: &dyn Store, link: &Link) -> LinkReport {
    let descriptor = link.descriptor();
    let extents = link
        .extents()
        .iter()
        .map(|extent| link.extent_path(extent).to_path_buf());
    LinkReport {
        path: link.path().to_path_buf(),
        create_type: descriptor.create_type(),
        cid: format!("{:08x}", descriptor.cid()),
        parent_cid: format!("{:08x}", descriptor.parent_cid()),
        parent_hint: descriptor
            .parent_hint()
            .filter(|_| descriptor.parent_cid() != NO_PARENT),
        extents: extents.collect(),
        allocated_bytes: link.allocated_bytes(store).unwrap_or_default(),
        notes: link.spared(),
    }
}
