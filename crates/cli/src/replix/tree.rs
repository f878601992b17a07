//! `replix tree VMX`: a VM with its snapshots and linked clones, and the space they take.

use std::path::PathBuf;

use replix::clone::{Lineage, LineageNode};
use replix::error::escaped;
use serde_json::{Value, json};

use super::failure::Failure;
use super::graph::{Shape, draw};
use super::screen::{Answer, to_json};
use super::session::Session;
use crate::text::{columns, moment, right, size};

/// Show a VM's snapshots and linked clones as a tree, with the disk space of each
///
/// OWN is the space that a VM or a state takes by itself. SHARED is what it uses together with
/// others: the disks of a state that clones stand on, or the disks that a clone stands on.
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
    Answer::new(json!({"nodes": nodes(&lineage)?}))
}

fn render(lineage: &Lineage) -> String {
    let mut rows = vec![["", "OWN", "SHARED", ""].map(String::from).to_vec()];
    let drawn = draw(lineage, shape);
    rows.extend(drawn.iter().map(|(lead, node)| row(node, lead)));
    right(&mut rows, 1);
    right(&mut rows, 2);
    columns(0, &rows) + &sum(drawn.iter().map(|(_, node)| *node))
}

/// States follow on each other; clones branch off, and so do states that others followed on too.
fn shape(lineage: &Lineage) -> Shape<&Lineage> {
    let mut branches: Vec<&Lineage> = lineage.children.iter().collect();
    let newest = branches.iter().rposition(|child| !is_vm(child));
    let mut next = newest.map(|index| branches.remove(index));
    // A VM that is nothing but its present state is told in one row.
    if is_vm(lineage) && branches.is_empty() && next.is_some_and(is_current) {
        next = None;
    }
    Shape {
        mark: match lineage.node {
            LineageNode::Vm { .. } => None,
            LineageNode::Snapshot { .. } => Some('●'),
            LineageNode::Current => Some('○'),
        },
        branches,
        next,
    }
}

fn is_vm(lineage: &Lineage) -> bool {
    matches!(lineage.node, LineageNode::Vm { .. })
}

fn is_current(lineage: &Lineage) -> bool {
    matches!(lineage.node, LineageNode::Current)
}

fn row(lineage: &Lineage, lead: &str) -> Vec<String> {
    let (name, remark) = describe(&lineage.node);
    let space = |bytes| match bytes {
        0 => "-".to_string(),
        bytes => size(bytes),
    };
    vec![
        format!("{lead}{name}"),
        space(lineage.own_bytes),
        space(lineage.shared_bytes),
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
            format!("taken {}", moment(*created_us)),
        ),
        LineageNode::Current => ("present state".to_string(), String::new()),
    }
}

/// The last line, where there are clones: what they save.
fn sum<'a>(nodes: impl Iterator<Item = &'a Lineage>) -> String {
    let (mut vms, mut own, mut apart) = (0, 0_u64, 0_u64);
    let found = |node: &&Lineage| matches!(node.node, LineageNode::Vm { found: true, .. });
    for vm in nodes.filter(found) {
        vms += 1;
        own = own.saturating_add(vm.own_bytes);
        apart = apart.saturating_add(vm.own_bytes.saturating_add(vm.shared_bytes));
    }
    match vms {
        0 | 1 => String::new(),
        _ => format!(
            "\n{vms} VMs take {}; sharing nothing, they would take {}\n",
            size(own),
            size(apart)
        ),
    }
}

/// The tree as a list, parents first; `parent` is the place of a node's parent in it. Nested it
/// would be as deep as the line of snapshots is long, which few readers of JSON bear.
fn nodes(lineage: &Lineage) -> Result<Vec<Value>, Failure> {
    let mut nodes = Vec::new();
    let mut open = vec![(None, lineage)];
    while let Some((parent, lineage)) = open.pop() {
        let mut node = to_json(&lineage.node)?;
        if let Value::Object(node) = &mut node {
            node.insert("parent".into(), json!(parent));
            node.insert("own_bytes".into(), json!(lineage.own_bytes));
            node.insert("shared_bytes".into(), json!(lineage.shared_bytes));
        }
        let place = nodes.len();
        nodes.push(node);
        let children = lineage.children.iter().rev();
        open.extend(children.map(|child| (Some(place), child)));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_drawn() {
        insta::assert_snapshot!(render(&crate::fake::lineage()), @r"
                              OWN  SHARED
        Web server          6 GiB   1 GiB  /vms/web/web.vmx
        ● base (#1)         3 GiB       -  taken 2026-11-23 08:23 UTC
        ├── web1            5 MiB       -  /clones/web1/web1.vmx (running)
        ├── web2            5 MiB       -  D:\web2\web2.vmx (not found)
        ● after setup (#2)  3 GiB       -  taken 2026-11-23 08:23 UTC
        ○ present state     5 MiB       -

        2 VMs take 6 GiB; sharing nothing, they would take 7 GiB
        ");
    }

    #[test]
    fn nodes_name_their_parents() {
        let nodes = nodes(&crate::fake::lineage()).unwrap_or_default();
        let parents: Vec<String> = nodes
            .iter()
            .map(|node| node["parent"].to_string())
            .collect();
        assert_eq!(parents, ["null", "0", "1", "1", "1", "4"]);
        insta::assert_snapshot!(nodes[2], @r#"{"found":true,"name":"web1","own_bytes":5242880,"parent":1,"path":"/clones/web1/web1.vmx","running":true,"shared_bytes":0,"what":"vm"}"#);
    }
}
