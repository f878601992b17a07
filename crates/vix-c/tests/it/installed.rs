//! The library as `cargo xtask install` lays it out, and whether compilers and loaders find it there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use replix_testkit::{CProgram, Compiler, VixLibrary, peer, skip, valgrind};

use crate::user::clients;

/// Where clients look for the library, below the prefix; the first has the file.
const FOLDERS: [&str; 3] = ["lib/vmware-vix", "lib", "lib/vmware-vix/lib"];

const LIBRARY: &str = "libvixAllProducts.so";

/// The prefix at which the library is installed; `None`, said, where it is not.
fn prefix() -> Option<PathBuf> {
    let prefix = std::env::var_os("REPLIX_VIX_PREFIX").filter(|prefix| !prefix.is_empty());
    if prefix.is_none() {
        skip("no installed library ($REPLIX_VIX_PREFIX; cargo xtask install)");
    }
    prefix.map(PathBuf::from)
}

/// Compiles the least of clients.
fn error_text(compiler: Compiler) -> CProgram {
    let source = clients().join("error_text.c");
    CProgram::compile(&source, compiler, &VixLibrary::find())
}

/// What a command that succeeds says.
fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The file that the loader takes for the library when it starts a program.
fn loaded(command: &mut Command) -> PathBuf {
    let output = command.env("LD_TRACE_LOADED_OBJECTS", "1").output();
    let list = said(&output.unwrap());
    let line = list.lines().find(|line| line.contains(LIBRARY)).unwrap();
    let path = line.split(" => ").nth(1).unwrap();
    PathBuf::from(path.rsplit_once(" (").unwrap().0)
}

#[test]
fn links_lead_to_one_file() {
    let Some(prefix) = prefix() else { return };
    let [file, links @ ..] = FOLDERS.map(|folder| prefix.join(folder).join(LIBRARY));
    assert!(file.symlink_metadata().unwrap().is_file());
    for link in links {
        assert!(link.read_link().unwrap().is_relative(), "{link:?}");
        assert_eq!(link.canonicalize().unwrap(), file.canonicalize().unwrap());
    }
}

#[test]
fn programs_are_files_that_run() {
    let Some(prefix) = prefix() else { return };
    for name in ["vmrun", "replix"] {
        let program = prefix.join("bin").join(name);
        let facts = program.symlink_metadata().unwrap();
        assert!(facts.is_file() && facts.permissions().mode() & 0o777 == 0o755);
    }
    let version = said(&peer(
        prefix.join("bin/replix").to_str().unwrap(),
        ["--version"],
    ));
    assert_eq!(
        version.trim(),
        format!("replix {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn library_is_called_like_its_file() {
    let library = VixLibrary::find().path();
    let facts = said(&peer("readelf", [Path::new("-d"), &library]));
    let name = format!("Library soname: [{LIBRARY}]");
    assert!(facts.contains(&name), "{facts}");
}

#[test]
fn pkg_config_tells_version_and_library() {
    let Some(prefix) = prefix() else { return };
    let ask = |what: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        let text = said(&command.args(what).arg("vix").output().unwrap());
        text.trim().to_string()
    };
    assert_eq!(ask(&["--modversion"]), env!("CARGO_PKG_VERSION"));
    let flags = ask(&["--cflags", "--libs"]);
    assert!(flags.ends_with(" -lvixAllProducts"), "{flags}");
}

#[test]
fn clients_compile_and_run() {
    let text = Compiler::ALL.map(|compiler| {
        let client = error_text(compiler);
        said(&client.command().output().unwrap())
    });
    assert!(text[0].trim().len() > 5, "{text:?}");
    assert_eq!(text[0], text[1]);
}

#[test]
fn loader_takes_the_installed_library() {
    let Some(prefix) = prefix() else { return };
    let client = error_text(Compiler::C89);
    let by_itself = loaded(&mut client.command());
    assert_eq!(by_itself, prefix.join(FOLDERS[0]).join(LIBRARY));
    for folder in FOLDERS.map(|folder| prefix.join(folder)) {
        let named = loaded(client.command().env("LD_LIBRARY_PATH", &folder));
        assert_eq!(named, folder.join(LIBRARY));
    }
}

#[test]
fn valgrind_tells_sound_memory_from_lost() {
    let client = error_text(Compiler::C89);
    said(&valgrind(&client.command()));
    let lost = valgrind(client.command().arg("lose"));
    assert_eq!(lost.status.code(), Some(99));
    let report = String::from_utf8_lossy(&lost.stderr);
    assert!(
        report.contains("100 bytes in 1 blocks are definitely lost"),
        "{report}"
    );
}
