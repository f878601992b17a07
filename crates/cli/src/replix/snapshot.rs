//! `replix snapshot`: snapshots taken, listed, gone back to, removed.

use std::path::PathBuf;

use clap::Subcommand;
use replix::error::{escaped, quoted};
use replix::snapshot::{NewSnapshot, SnapshotTree};
use serde_json::json;

use super::failure::Failure;
use super::place;
use super::screen::Answer;
use super::session::Session;
use crate::text::{columns, moment};

/// Take, list, go back to or remove snapshots
///
/// `replix snapshot VMX NAME` takes one, as `replix snapshot create VMX NAME` does.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    create: Option<Create>,
}

#[derive(Subcommand)]
enum Action {
    Create(Create),
    List(List),
    Revert(Revert),
    Remove(Remove),
}

/// Take a snapshot
#[derive(clap::Args)]
struct Create {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// The snapshot's name; need not be unique
    name: String,
    /// What it is for
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "TEXT"
    )]
    description: String,
}

/// List the snapshots as a tree
#[derive(clap::Args)]
struct List {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
}

/// Put the VM back to a snapshot; what it did since then is lost
#[derive(clap::Args)]
struct Revert {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// The snapshot: its name, its path (a/b) or its number (#2)
    snapshot: String,
}

/// Remove a snapshot; the VM keeps its present state
#[derive(clap::Args)]
struct Remove {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// The snapshot: its name, its path (a/b) or its number (#2)
    snapshot: String,
    /// Remove the snapshots below it too
    #[arg(long)]
    children: bool,
}

/// Does what is asked for.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    match (&args.action, &args.create) {
        (Some(Action::Create(args)), _) | (None, Some(args)) => create(args, session),
        (Some(Action::List(args)), _) => list(args, session),
        (Some(Action::Revert(args)), _) => revert(args, session),
        (Some(Action::Remove(args)), _) => remove(args, session),
        (None, None) => Err(Failure::usage("a VM and a name are wanted")),
    }
}

fn create(args: &Create, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let new = NewSnapshot {
        name: args.name.clone(),
        description: args.description.clone(),
        with_memory: true,
    };
    let snapshot = session.run(move |host, job| host.create_snapshot(&path, &new, job))?;
    let name = quoted(&snapshot.name);
    session
        .screen
        .confirm(&format!("snapshot {name} (#{}) taken", snapshot.uid));
    Answer::new(&snapshot)
}

fn list(args: &List, session: &mut Session) -> Result<Answer, Failure> {
    let tree = session.vm(&args.vmx)?.snapshots()?;
    session.screen.show(&render(&tree));
    Answer::new(&tree)
}

fn revert(args: &Revert, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let snapshot = place::snapshot(&args.snapshot);
    session.run(move |host, job| host.revert(&path, &snapshot, job))?;
    let name = quoted(&args.snapshot);
    session.screen.confirm(&format!("back at snapshot {name}"));
    Answer::new(json!({"reverted": args.snapshot}))
}

fn remove(args: &Remove, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let (snapshot, children) = (place::snapshot(&args.snapshot), args.children);
    session.run(move |host, job| host.remove_snapshot(&path, &snapshot, children, job))?;
    let name = quoted(&args.snapshot);
    let below = if children { " and all below it" } else { "" };
    session
        .screen
        .confirm(&format!("snapshot {name}{below} removed"));
    Answer::new(json!({"removed": args.snapshot, "children": children}))
}

fn render(tree: &SnapshotTree) -> String {
    let rows: Vec<Vec<String>> = tree
        .walk()
        .into_iter()
        .map(|(depth, snapshot)| {
            let here = match tree.current == Some(snapshot.uid) {
                true => "the present state descends from it",
                false => "",
            };
            vec![
                format!("#{}", snapshot.uid),
                moment(snapshot.created_us),
                format!("{}{}", "  ".repeat(depth), escaped(&snapshot.name)),
                here.to_string(),
            ]
        })
        .collect();
    columns(0, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_a_tree() {
        let tree = SnapshotTree {
            current: Some(3),
            ..crate::fake::tree(&[(1, None, "base"), (2, Some(1), "a"), (3, Some(2), "b\u{7}")])
        };
        insta::assert_snapshot!(render(&tree), @r"
        #1  2026-11-23 08:23 UTC  base
        #2  2026-11-23 08:23 UTC    a
        #3  2026-11-23 08:23 UTC      b\u{7}  the present state descends from it
        ");
        assert_eq!(render(&SnapshotTree::default()), "");
    }
}
