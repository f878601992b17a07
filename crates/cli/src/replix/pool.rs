//! `replix pool`: clones that are kept ready, handed out, taken back and destroyed.

use std::path::{Path, PathBuf};

use replix::Job;
use replix::error::{escaped, quoted};
use replix::pool::{Booted, Filled, Keep, Member, MemberState, Pool, PoolSpec, Ready};
use serde_json::json;

use super::failure::Failure;
use super::info::state_name;
use super::place;
use super::screen::{Answer, to_json};
use super::session::Session;
use crate::text::{columns, count, moment};

/// Keep linked clones ready, and hand them out one by one
///
/// A pool is a folder of VMs that wait: off, running, or suspended after they booted. `take` hands one
/// out, running, in less than a second; `give` destroys it. Nothing runs in the background: `fill`
/// makes what is missing, after a `take`, or every minute by cron or a timer. What belongs to a process
/// that has ended, or to a lease that is over, is destroyed by the next `fill` or `clean`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a pool, and fill it
    Create(Create),
    /// Make the VMs that are missing; may be run at any time, and by several at once
    Fill {
        /// The pool
        dir: PathBuf,
    },
    /// Hand out a VM and print its .vmx; where none is ready, one is made
    Take(Take),
    /// Take a VM back and destroy it
    Give {
        /// The pool
        dir: PathBuf,
        /// The VM: its .vmx, its folder, or its name in the pool
        vm: PathBuf,
    },
    /// List the VMs of a pool
    List {
        /// The pool
        dir: PathBuf,
    },
    /// Destroy the VMs whose owner has ended or whose lease is over
    Clean {
        /// The pool
        dir: PathBuf,
    },
    /// Destroy all VMs of a pool, and the pool
    Remove {
        /// The pool
        dir: PathBuf,
        /// Also those that are handed out
        #[arg(long)]
        force: bool,
    },
}

#[derive(clap::Args)]
struct Create {
    /// The pool: a folder that is not there yet, or empty
    dir: PathBuf,
    /// The VM to clone: its .vmx, or its folder
    #[arg(long, value_name = "VMX")]
    of: PathBuf,
    /// The snapshot to clone: its name, its path (a/b) or its number (#2); otherwise the current one,
    /// if nothing was written since
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Option<String>,
    /// How many are kept ready
    #[arg(long, value_name = "N")]
    size: u32,
    /// How they wait to be handed out
    #[arg(long, value_enum, default_value_t = State::Suspended)]
    ready: State,
    /// What shows that a guest has booted: `agent` (it answers), `address` (it has one), or a number of
    /// seconds
    #[arg(long, value_name = "WHAT", default_value = "agent", value_parser = booted)]
    wait_for: Booted,
    /// How long a guest may take to boot
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u32,
}

#[derive(clap::Args)]
struct Take {
    /// The pool
    dir: PathBuf,
    /// Keep it no longer than this process lives: `$$` is the shell
    #[arg(long, value_name = "PID", conflicts_with = "lease")]
    owner: Option<u32>,
    /// Keep it no longer than this
    #[arg(long, value_name = "SECONDS")]
    lease: Option<u32>,
}

/// How the VMs of a pool wait.
#[derive(Clone, Copy, clap::ValueEnum)]
enum State {
    Off,
    Started,
    Suspended,
}

fn booted(word: &str) -> Result<Booted, String> {
    match word {
        "agent" => Ok(Booted::Agent),
        "address" => Ok(Booted::Address),
        _ => match word.parse() {
            Ok(seconds) => Ok(Booted::Seconds(seconds)),
            Err(_) => Err("it is agent, address, or a number of seconds".into()),
        },
    }
}

/// Does what the command says.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    match &args.command {
        Command::Create(args) => create(args, session),
        Command::Fill { dir } => fill(dir, session),
        Command::Take(args) => take(args, session),
        Command::Give { dir, vm } => give(dir, vm, session),
        Command::List { dir } => list(dir, session),
        Command::Clean { dir } => {
            let destroyed = in_pool(dir, session, |pool, job| pool.clean(job))?;
            let line = format!("{} destroyed", count(destroyed as usize, "VM"));
            session.screen.confirm(&line);
            Answer::new(json!({"destroyed": destroyed}))
        }
        Command::Remove { dir, force } => {
            let force = *force;
            let destroyed = in_pool(dir, session, move |pool, job| pool.remove(force, job))?;
            let vms = count(destroyed as usize, "VM");
            session
                .screen
                .confirm(&format!("{vms} destroyed, and the pool"));
            Answer::new(json!({"destroyed": destroyed}))
        }
    }
}

/// Runs a job on the pool in `dir`.
fn in_pool<T: Send + 'static>(
    dir: &Path,
    session: &mut Session,
    work: impl FnOnce(&Pool, &Job) -> replix::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let (dir, settings) = (place::absolute(dir)?, session.settings()?);
    session.run(move |host, job| work(&Pool::open(host, &settings, &dir)?, job))
}

fn create(args: &Create, session: &mut Session) -> Result<Answer, Failure> {
    let spec = PoolSpec {
        of: session.vm(&args.of)?.path().to_path_buf(),
        snapshot: args.snapshot.as_deref().map(place::snapshot),
        size: args.size,
        ready: match args.ready {
            State::Off => Ready::Off,
            State::Started => Ready::Started,
            State::Suspended => Ready::Suspended,
        },
        booted: args.wait_for,
        boot_seconds: args.timeout,
    };
    let (dir, settings) = (place::absolute(&args.dir)?, session.settings()?);
    session.run(move |host, _| Pool::create(host, &settings, &dir, &spec).map(drop))?;
    fill(&args.dir, session)
}

fn fill(dir: &Path, session: &mut Session) -> Result<Answer, Failure> {
    let filled = in_pool(dir, session, |pool, job| pool.fill(job))?;
    session.screen.confirm(&told(filled));
    Answer::new(filled)
}

fn told(filled: Filled) -> String {
    let made = count(filled.made as usize, "VM");
    let mut line = format!("{made} made, {} ready", filled.ready);
    if filled.others > 0 {
        line.push_str(&format!(", {} being made by others", filled.others));
    }
    if filled.destroyed > 0 {
        line.push_str(&format!(", {} destroyed", filled.destroyed));
    }
    line
}

fn take(args: &Take, session: &mut Session) -> Result<Answer, Failure> {
    let keep = match (args.owner, args.lease) {
        (Some(pid), _) => Keep::Owner(pid),
        (None, Some(seconds)) => Keep::Lease(seconds),
        (None, None) => Keep::Given,
    };
    let handout = in_pool(&args.dir, session, move |pool, job| pool.take(keep, job))?;
    let path = handout.vm.to_string_lossy();
    session.screen.show(&format!("{}\n", escaped(&path)));
    Answer::new(handout)
}

fn give(dir: &Path, vm: &Path, session: &mut Session) -> Result<Answer, Failure> {
    let vm = vm.to_path_buf();
    let name = in_pool(dir, session, move |pool, job| pool.give(&vm, job))?;
    session
        .screen
        .confirm(&format!("{} destroyed", quoted(&name)));
    Answer::new(json!({"destroyed": name}))
}

fn list(dir: &Path, session: &mut Session) -> Result<Answer, Failure> {
    let members = in_pool(dir, session, |pool, job| pool.list(job))?;
    let rows: Vec<_> = members.iter().map(row).collect();
    match rows.is_empty() {
        true => session.screen.confirm("no VM is in the pool"),
        false => session.screen.show(&columns(0, &rows)),
    }
    Answer::new(json!({"vms": to_json(&members)?}))
}

fn row(member: &Member) -> Vec<String> {
    let state = match member.state {
        MemberState::Making => "being made",
        MemberState::Ready => "ready",
        MemberState::Taken => "taken",
        MemberState::Leaving => "being destroyed",
        MemberState::Over => "over",
    };
    let until = match (member.process, member.lease_ends_us) {
        (Some(pid), _) => format!("process {pid}"),
        (None, Some(end)) => format!("until {}", moment(end)),
        (None, None) => String::new(),
    };
    vec![
        state.into(),
        member.power.map_or("", state_name).into(),
        escaped(&member.vm.to_string_lossy()),
        until,
    ]
}
