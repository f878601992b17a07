//! `replix tree VMX`: a VM with its snapshots and linked clones, and the space they take.

use std::path::PathBuf;

use replix::clone::{Lineage, LineageNode};
use replix::error::escaped;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::text::{columns, moment, size};

/// Show a VM's snapshots and linked clones as a tree, with the disk space of each
///
/// OWN is the space that goes when this alone is removed, SHARED what it uses together with
/// others.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
}

/// Shows the tree.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let vm = session.vm(&args.vmx)?;
    let lineage = session.host().provider().lineage(vm.path())?;
    session.screen.show(&render(&lineage));
    Answer::new(&lineage)
}

fn render(lineage: &Lineage) -> String {
    let mut rows = vec![["", "OWN", "SHARED", ""].map(String::from).to_vec()];
    // What is still to be drawn, the next one last: a node, and what stands before it and before
    // its children. A chain may be deeper than a stack of calls should be.
    let mut open = vec![(lineage, String::new(), String::new())];
    while let Some((node, lead, below)) = open.pop() {
        rows.push(row(node, &lead));
        let last = node.children.len().saturating_sub(1);
        for (index, child) in node.children.iter().enumerate().rev() {
            let (branch, line) = if index == last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            open.push((child, format!("{below}{branch}"), format!("{below}{line}")));
        }
    }
    columns(0, &rows)
}

fn row(lineage: &Lineage, lead: &str) -> Vec<String> {
    let (name, remark) = describe(&lineage.node);
    let shared = match lineage.shared_bytes {
        0 => "-".to_string(),
        bytes => size(bytes),
    };
    vec![
        format!("{lead}{name}"),
        size(lineage.own_bytes),
        shared,
        remark,
    ]
}

/// The name in the tree and what else is to be said.
fn describe(node: &LineageNode) -> (String, String) {
    match node {
        LineageNode::Vm {
            name,
            path,
            found,
            running,
        } => {
            let state = match (found, running) {
                (false, _) => " (not found)",
                (_, true) => " (running)",
                _ => "",
            };
            let path = escaped(&path.to_string_lossy());
            (escaped(name), format!("{path}{state}"))
        }
        LineageNode::Snapshot {
            name,
            uid,
            created_us,
        } => (
            format!("{} (#{uid})", escaped(name)),
            format!("snapshot of {}", moment(*created_us)),
        ),
        LineageNode::Current => ("present state".to_string(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_drawn() {
        insta::assert_snapshot!(render(&crate::fake::lineage()), @r"
                                   OWN    SHARED
        Web server                 6 GiB  1 GiB   /vms/web/web.vmx
        └── base (#1)              3 GiB  -       snapshot of 2026-11-23 08:23 UTC
            ├── web1               5 MiB  -       /clones/web1/web1.vmx (running)
            ├── web2               5 MiB  -       D:\web2\web2.vmx (not found)
            └── after setup (#2)   3 GiB  -       snapshot of 2026-11-23 08:23 UTC
                └── present state  5 MiB  -
        ");
    }
}
