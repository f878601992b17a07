//! Development commands: `cargo xtask <command>`, one file a command.
//!
//! What is said on the way goes to standard error; standard output carries results only, so that
//! `$(cargo xtask guest)` is a path.

mod apt_source;
mod bench;
mod cached;
mod check;
mod clients;
mod com;
mod demo;
mod deny;
mod deps;
mod fuzz;
mod guest;
mod headers;
mod install;
mod reliability;
mod rules;
mod run;
mod scratch;
mod tally;
mod test;
mod workspace;

use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::{Doing, Result};
use workspace::Workspace;

/// Builds, checks and shows Replix.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures how long clones take and what they cost, and how fast VMs run
    Bench {
        /// Only this
        #[arg(long)]
        only: Option<bench::Topic>,
        /// Disks as small as can be, once each: no figures, only a sign that the benchmark works
        #[arg(long)]
        small: bool,
    },
    /// Formatting, lints, layers and the other house rules
    Check,
    /// Makes the Python environments with the clients that the tests run; prints their folder
    Clients,
    /// Builds VixCOM.dll and registers it in a Wine prefix; the last line is WINEPREFIX=PATH
    Com,
    /// Shows the product end to end on the test guest
    Demo,
    /// Installs the tools that the other commands need, by apt and cargo, where they are missing
    Deps,
    /// Fuzzes the C library's arguments, or a reader of the engine, and keeps what it finds new
    Fuzz(fuzz::Args),
    /// Builds the test guests and prints their folder, or writes a marked copy of one
    Guest(GuestArgs),
    /// Writes the constants of vix.h from the table of crates/vix
    Headers,
    /// Builds and installs the programs and the VIX library with its headers
    Install {
        #[command(flatten)]
        place: install::Args,
        /// The COM library for Windows and its header, too
        #[arg(long)]
        com: bool,
    },
    /// Cuts off each operation in every way and writes docs/reliability.md
    Reliability(reliability::Args),
    /// Runs everything that CI runs, and counts the tests at the end
    Test {
        /// Run this stage only; may be repeated
        #[arg(long, value_name = "STAGE")]
        only: Vec<test::Stage>,
    },
    /// Takes back what `install` put there
    Uninstall(install::Args),
}

#[derive(clap::Args)]
struct GuestArgs {
    /// Write a copy whose greeting shows this text; prints the copy's path
    #[arg(long, requires = "out")]
    marker: Option<String>,
    /// Where to write the copy
    #[arg(long, requires = "marker")]
    out: Option<PathBuf>,
    /// The copy's VMDK create type, or `raw` [default: monolithicSparse]
    #[arg(long, requires = "out")]
    format: Option<String>,
    /// Which disk to copy
    #[arg(long, requires = "out", default_value = "guest")]
    disk: guest::Disk,
}

impl GuestArgs {
    fn copy(&self) -> Option<guest::Copy<'_>> {
        let (marker, out) = (self.marker.as_deref()?, self.out.as_deref()?);
        Some(guest::Copy {
            marker,
            out,
            format: self.format.as_deref(),
            disk: self.disk,
        })
    }
}

fn main() -> ExitCode {
    match perform(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Command) -> Result {
    match command {
        Command::Bench { only, small } => bench::run(&Workspace::find()?, only, small),
        Command::Check => check::run(&Workspace::find()?),
        Command::Headers => headers::run(&Workspace::find()?.root),
        Command::Clients => print_path(&clients::build(&Workspace::find()?)?),
        Command::Com => com::run(&Workspace::find()?),
        Command::Demo => demo::run(&Workspace::find()?),
        Command::Fuzz(args) => fuzz::run(&Workspace::find()?, &args),
        Command::Install { place, com } => install::run(&Workspace::find()?, &place, com),
        Command::Reliability(args) => reliability::run(&Workspace::find()?, &args),
        Command::Uninstall(args) => install::take_back(&args),
        Command::Test { only } => test::run(&Workspace::find()?, &only),
        Command::Deps => {
            deps::install(&[
                deps::GUEST,
                deps::QEMU,
                deps::TESTS,
                deps::CLIENTS,
                deps::COM,
            ])?;
            deps::install_nextest()
        }
        Command::Guest(args) => {
            let folder = guest::build(&Workspace::find()?)?;
            match args.copy() {
                Some(copy) => copy.write(&folder).and_then(|()| print_path(copy.out)),
                None => print_path(&folder),
            }
        }
    }
}

fn print_path(path: &Path) -> Result {
    println!("{}", absolute(path).doing(path.display())?.display());
    Ok(())
}
