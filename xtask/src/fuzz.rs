//! `cargo xtask fuzz`: a fuzz target on what it is for, its corpus in `fuzz/corpus`.
//!
//! libFuzzer is guided by counters that rustc's LLVM puts into the code: plain code generation
//! options, so the compiler of the workspace will do. What a run finds new is kept in the corpus,
//! reduced to what adds something; the tests replay it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Doing, Result, Run, command, fail, stage};
use crate::scratch::Scratch;
use crate::workspace::{Workspace, cargo};

/// Counters for each edge of the code, and the values that are compared.
const INSTRUMENTED: &str = "-Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 -Cdebug-assertions -Coverflow-checks";

/// The target that is the C library; its inputs are calls.
const ABI: &str = "abi";

/// What is fuzzed, and for how long.
#[derive(clap::Args)]
pub struct Args {
    /// `abi`, or a target of the engine: a folder of fuzz/corpus
    #[arg(default_value = ABI)]
    target: String,
    /// How long to run
    #[arg(long, visible_alias = "time", default_value_t = 60)]
    seconds: u32,
}

/// How a target is run.
struct Target<'a> {
    name: &'a str,
    program: &'static str,
    /// The largest input, in bytes.
    largest: u32,
    /// The most memory, in MiB: readers have to do with 256.
    memory: u32,
    /// The longest that one input may take, in seconds.
    patience: u32,
}

impl<'a> Target<'a> {
    fn of(name: &'a str) -> Self {
        if name == ABI {
            return Self {
                name,
                program: ABI,
                largest: 512,
                memory: 4096,
                patience: 60,
            };
        }
        Self {
            name,
            program: "engine",
            largest: 8192,
            memory: 256,
            patience: 20,
        }
    }
}

/// Fuzzes the arguments of the C library, or a reader of the engine. A run goes on where the last ended:
/// what that found is where this begins.
///
/// # Errors
/// When something cannot be built, or the fuzzer has found an input that crashes; its file is named.
pub fn run(workspace: &Workspace, args: &Args) -> Result {
    let wanted = Target::of(&args.target);
    let corpus = workspace.root.join("fuzz/corpus").join(wanted.name);
    if !corpus.is_dir() {
        return fail(format!(
            "no target \"{}\": {} is no folder",
            wanted.name,
            corpus.display()
        ));
    }
    let target = workspace.target.join("fuzz");
    stage("instrumented library and fuzzer", || {
        if wanted.name == ABI {
            build(&target, "../crates/vix-c/Cargo.toml", workspace, &[], "")?;
        }
        // The library finds the fuzzer's counters among the symbols of the program.
        let program = ["--bin", wanted.program];
        build(
            &target,
            "Cargo.toml",
            workspace,
            &program,
            " -Clink-arg=-rdynamic",
        )
    })?;
    // Several targets may be run at once.
    let scratch = Scratch::create(target.join("vms").join(wanted.name))?;
    let found = target.join("corpus").join(wanted.name);
    fs::create_dir_all(&found).doing(found.display())?;
    let built = target.join(triple()).join("release");
    let fuzzer = |arguments: &[&str], folders: &[&Path]| {
        command(built.join(wanted.program), arguments)
            .args(folders)
            .current_dir(&target)
            // No program is started by what the fuzzer asks for.
            .env("PATH", "/nonexistent")
            .env("REPLIX_FUZZ_TARGET", wanted.name)
            .env("REPLIX_FUZZ_LIBRARY", built.join("libvixAllProducts.so"))
            .env("REPLIX_FUZZ_FOLDER", &scratch.0)
            .run()
    };
    let time = format!("-max_total_time={}", args.seconds);
    let length = format!("-max_len={}", wanted.largest);
    let memory = format!("-rss_limit_mb={}", wanted.memory);
    let patience = format!("-timeout={}", wanted.patience);
    let bad = format!("-artifact_prefix={}-", wanted.name);
    let figures = "-print_final_stats=1";
    stage("fuzzing", || {
        let how = [&*time, &length, &memory, &patience, &bad, figures];
        fuzzer(&how, &[&found, &corpus])
    })?;
    // One input for each edge of the code; how often each is passed tells too little to keep files for.
    let keep = ["-set_cover_merge=1", "-use_counters=0", &length];
    stage("keeping what is new", || fuzzer(&keep, &[&corpus, &found]))
}

fn build(
    target: &Path,
    manifest: &str,
    workspace: &Workspace,
    which: &[&str],
    more: &str,
) -> Result {
    let manifest: PathBuf = workspace.root.join("fuzz").join(manifest);
    // A target named is a build of its own: build scripts and macros go without the flags.
    cargo(["build", "--release", "--quiet", "--manifest-path"])
        .arg(manifest)
        .args(which)
        .arg("--target-dir")
        .arg(target)
        .args(["--target", &triple()])
        .env("RUSTFLAGS", format!("{INSTRUMENTED}{more}"))
        .run()
}

/// The compiler's name for this machine.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
