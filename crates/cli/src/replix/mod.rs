//! `replix`: the native command line.
//!
//! A call: clap takes the words apart (`Cli`) -> the command's file runs it in a `Session`,
//! which shows progress, remarks and results -> one exit code, from the table in `exit`. With
//! `--json` a call prints one JSON object on stdout, whatever it comes to.

mod check;
mod clone;
mod console;
mod consolidate;
mod delete;
mod disk;
mod exit;
mod failure;
mod gc;
mod graph;
mod info;
mod ip;
mod list;
mod network;
mod place;
mod plan;
mod pool;
mod promote;
mod relink;
mod repair;
mod screen;
mod serve;
mod session;
mod snapshot;
mod start;
mod stop;
mod tree;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::host::Connect;
pub use exit::Exit;
use failure::Failure;
pub use screen::Terminal;
use screen::{Answer, Screen};
use session::Session;

/// Opens VMware virtual machines as they lie on disk: clones them, takes snapshots of them, runs
/// them on QEMU.
#[derive(Parser)]
#[command(name = "replix", version, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// The heading of the flags that every command has.
const COMMON: &str = "Options of all commands";

/// The flags that every command has.
#[derive(Args)]
struct Common {
    /// Print one JSON object on stdout, and nothing for people
    #[arg(long, global = true, help_heading = COMMON)]
    json: bool,
    /// Show no progress and no confirmations; warnings and errors stay
    #[arg(long, short, global = true, help_heading = COMMON)]
    quiet: bool,
    /// A folder outside the VM's own that its files may reach into; may be repeated
    #[arg(long, global = true, value_name = "DIR", help_heading = COMMON)]
    allow: Vec<PathBuf>,
}

/// The commands, one file each.
#[derive(Subcommand)]
enum Command {
    Info(info::Args),
    Tree(tree::Args),
    Clone(clone::Args),
    Promote(promote::Args),
    Relink(relink::Args),
    Snapshot(snapshot::Args),
    Consolidate(consolidate::Args),
    Disk(disk::Args),
    Check(check::Args),
    Repair(repair::Args),
    Gc(gc::Args),
    Start(start::Args),
    Stop(stop::Args),
    List(list::Args),
    Console(console::Args),
    Ip(ip::Args),
    Network(network::Args),
    Pool(pool::Args),
    Delete(delete::Args),
    Serve(serve::Args),
}

impl Command {
    fn run(&self, session: &mut Session) -> Result<Answer, Failure> {
        match self {
            Self::Info(args) => info::run(args, session),
            Self::Tree(args) => tree::run(args, session),
            Self::Clone(args) => clone::run(args, session),
            Self::Promote(args) => promote::run(args, session),
            Self::Relink(args) => relink::run(args, session),
            Self::Snapshot(args) => snapshot::run(args, session),
            Self::Consolidate(args) => consolidate::run(args, session),
            Self::Disk(args) => disk::run(args, session),
            Self::Check(args) => check::run(args, session),
            Self::Repair(args) => repair::run(args, session),
            Self::Gc(args) => gc::run(args, session),
            Self::Start(args) => start::run(args, session),
            Self::Stop(args) => stop::run(args, session),
            Self::List(args) => list::run(args, session),
            Self::Console(args) => console::run(args, session),
            Self::Ip(args) => ip::run(args, session),
            Self::Network(args) => network::run(args, session),
            Self::Pool(args) => pool::run(args, session),
            Self::Delete(args) => delete::run(args, session),
            Self::Serve(args) => serve::run(args, session),
        }
    }
}

/// Runs what was typed, the program's name first, and returns how it ended.
pub fn run(words: Vec<OsString>, connect: &Connect, terminal: Terminal) -> Exit {
    // A call that cannot be understood answers in JSON too.
    let perhaps_json = words.iter().any(|word| word == "--json");
    match Cli::try_parse_from(words) {
        Err(error) => Screen::new(terminal, perhaps_json, false).end_unparsed(&error),
        Ok(cli) => {
            let mut screen = Screen::new(terminal, cli.common.json, cli.common.quiet);
            let result = execute(&cli, connect, &mut screen);
            screen.end(result)
        }
    }
}

fn execute(cli: &Cli, connect: &Connect, screen: &mut Screen) -> Result<Answer, Failure> {
    let allow = cli
        .common
        .allow
        .iter()
        .map(|folder| place::absolute(folder));
    let allow = allow.collect::<Result<Vec<_>, _>>()?;
    let host = connect(&allow)?;
    cli.command.run(&mut Session::new(host, allow, screen))
}

#[cfg(test)]
mod tests;
