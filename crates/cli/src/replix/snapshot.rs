//! `replix snapshot`: snapshots taken, listed, gone back to, removed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use replix::error::{escaped, quoted};
use replix::snapshot::{NewSnapshot, RevertSpec, Snapshot, SnapshotTree};
use serde_json::json;

use super::failure::Failure;
use super::graph::{Shape, draw};
use super::place;
use super::screen::Answer;
use super::session::Session;
use crate::text::{columns, count, moment};

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
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
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

/// Put the VM back to a snapshot, off; what it did since then is lost, running or not
#[derive(clap::Args)]
struct Revert {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// The snapshot: its name, its path (a/b) or its number (#2)
    snapshot: String,
    /// Go back to the disks of a snapshot that was taken of a running VM, without its memory
    #[arg(long)]
    without_memory: bool,
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
    match tree.snapshots.is_empty() {
        true => session.screen.confirm("no snapshots"),
        false => session.screen.show(&render(&tree)),
    }
    Answer::new(&tree)
}

fn revert(args: &Revert, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let spec = RevertSpec {
        without_memory: args.without_memory,
        ..RevertSpec::from(place::snapshot(&args.snapshot))
    };
    session.run(move |host, job| host.revert(&path, &spec, job))?;
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

/// What stands in the list: a snapshot, the present state of the VM, or what several snapshots
/// without a parent have in common.
#[derive(Clone, Copy)]
enum State<'a> {
    Before,
    Taken(&'a Snapshot),
    Present,
}

fn render(tree: &SnapshotTree) -> String {
    let states = States::of(tree);
    let first = match states.on(None).as_slice() {
        [] => return String::new(),
        [only] => *only,
        _ => State::Before,
    };
    let drawn = draw(first, |state| states.shape(state));
    let rows = drawn.iter().map(|(lead, state)| row(lead, *state));
    columns(0, &rows.collect::<Vec<_>>())
}

/// What followed on what.
struct States<'a>(BTreeMap<Option<u32>, Vec<State<'a>>>);

impl<'a> States<'a> {
    fn of(tree: &'a SnapshotTree) -> Self {
        let taken = |(parent, snapshots): (_, Vec<&'a Snapshot>)| {
            (parent, snapshots.into_iter().map(State::Taken).collect())
        };
        let mut states: BTreeMap<_, Vec<State>> = tree.by_parent().into_iter().map(taken).collect();
        if !tree.snapshots.is_empty() {
            states.entry(tree.current).or_default().push(State::Present);
        }
        Self(states)
    }

    /// The states that followed on a snapshot, the newest last, the present one after all others.
    fn on(&self, parent: Option<u32>) -> Vec<State<'a>> {
        self.0.get(&parent).cloned().unwrap_or_default()
    }

    fn shape(&self, state: State<'a>) -> Shape<State<'a>> {
        let (mark, mut branches) = match state {
            State::Before => ('◌', self.on(None)),
            State::Taken(snapshot) => ('●', self.on(Some(snapshot.uid))),
            State::Present => ('○', Vec::new()),
        };
        let next = branches.pop();
        Shape {
            mark: Some(mark),
            branches,
            next,
        }
    }
}

fn row(lead: &str, state: State) -> Vec<String> {
    let snapshot = match state {
        State::Before => return vec![format!("{lead}before all snapshots")],
        State::Present => return vec![format!("{lead}present state")],
        State::Taken(snapshot) => snapshot,
    };
    let mut remarks = Vec::new();
    if snapshot.with_memory {
        remarks.push("with memory".to_string());
    }
    if !snapshot.clones.is_empty() {
        remarks.push(count(snapshot.clones.len(), "linked clone"));
    }
    if !snapshot.description.is_empty() {
        remarks.push(quoted(&snapshot.description));
    }
    vec![
        format!("{lead}{}", escaped(&snapshot.name)),
        format!("#{}", snapshot.uid),
        moment(snapshot.created_us),
        remarks.join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_a_graph() {
        let mut tree = crate::fake::tree(&[
            (1, None, "base"),
            (2, Some(1), "a"),
            (3, Some(2), "b\u{7}"),
            (4, Some(1), "c"),
        ]);
        tree.current = Some(4);
        tree.snapshots[0].clones = vec!["x.vmx".into()];
        tree.snapshots[3].with_memory = true;
        tree.snapshots[3].description = "before\nthe update".into();
        insta::assert_snapshot!(render(&tree), @r#"
        ● base           #1  2026-11-23 08:23 UTC  1 linked clone
        ├─● a            #2  2026-11-23 08:23 UTC
        │ ● b\u{7}       #3  2026-11-23 08:23 UTC
        ● c              #4  2026-11-23 08:23 UTC  with memory, "before\u{a}the update"
        ○ present state
        "#);
        assert_eq!(render(&SnapshotTree::default()), "");
    }

    #[test]
    fn present_state_may_descend_from_nothing() {
        let tree = crate::fake::tree(&[(1, None, "a"), (2, None, "b")]);
        insta::assert_snapshot!(render(&tree), @"
        ◌ before all snapshots
        ├─● a                   #1  2026-11-23 08:23 UTC
        ├─● b                   #2  2026-11-23 08:23 UTC
        ○ present state
        ");
    }
}
