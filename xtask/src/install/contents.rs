//! What an installation consists of.
//!
//! Clients know the library as `libvixAllProducts.so` in three folders below the prefix, none of
//! them an architecture's: one gets the file, the two others a link to it.

use std::fs;
use std::path::{Path, PathBuf};

use super::place::Place;
use crate::com;
use crate::run::{Doing, Result, fail};
use crate::workspace::Workspace;

const PROGRAMS: &[&str] = &["replix", "vmrun"];
const LIBRARY: &str = "libvixAllProducts.so";
const LIBRARY_LINKS: [(&str, &str); 2] = [
    (
        "lib/libvixAllProducts.so",
        "vmware-vix/libvixAllProducts.so",
    ),
    (
        "lib/vmware-vix/lib/libvixAllProducts.so",
        "../libvixAllProducts.so",
    ),
];
/// VMware's tool for disks.
const DISK_MANAGER: &str = "vmware-vdiskmanager";
/// The programs that tell callers of `vmrun` which product is here: one file, known by three names.
const COMPANION: &str = "vmware";
const COMPANION_LINKS: [(&str, &str); 2] = [
    ("bin/vmplayer", "vmware"),
    ("lib/vmware/bin/vmware-vmx", "../../../bin/vmware"),
];
const HEADERS: &str = "crates/vix-c/include";

/// A file or link to install.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it goes, as installed files name it.
    pub name: PathBuf,
    /// What it is.
    pub source: Source,
}

/// What an item is made from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A copy of this file, with these permissions.
    Copy(PathBuf, u32),
    /// A text that everyone may read.
    Text(String),
    /// A symbolic link to this target.
    Link(&'static str),
}

/// Returns what is to be installed, built or not.
///
/// # Errors
/// When the workspace has no headers.
pub fn of(workspace: &Workspace, place: &Place) -> Result<Vec<Item>> {
    let built = workspace.programs();
    let item = |below: String, source| Item {
        name: place.prefix().join(below),
        source,
    };
    let program = |name: &&str| item(format!("bin/{name}"), Source::Copy(built.join(name), 0o755));
    let header = |path: PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        item(
            format!("include/vmware-vix/{name}"),
            Source::Copy(path, 0o644),
        )
    };
    let link = |(name, target): (&str, _)| item(name.to_string(), Source::Link(target));

    let mut items: Vec<_> = PROGRAMS.iter().map(program).collect();
    items.push(item(
        format!("lib/vmware-vix/{LIBRARY}"),
        Source::Copy(built.join(LIBRARY), 0o755),
    ));
    items.extend(LIBRARY_LINKS.into_iter().map(link));
    items.extend(
        headers(&workspace.root.join(HEADERS))?
            .into_iter()
            .map(header),
    );
    items.push(item(
        "lib/pkgconfig/vix.pc".into(),
        Source::Text(pkg_config(place.prefix())),
    ));
    Ok(items)
}

/// Returns the programs that stand in for VMware's own, which go where those are not.
pub fn companions(workspace: &Workspace, place: &Place) -> Vec<Item> {
    let item = |below: String, source| Item {
        name: place.prefix().join(below),
        source,
    };
    let program = |name: &str| {
        let built = workspace.programs().join(name);
        item(format!("bin/{name}"), Source::Copy(built, 0o755))
    };
    let mut items = vec![program(COMPANION), program(DISK_MANAGER)];
    let links = COMPANION_LINKS.into_iter();
    items.extend(links.map(|(name, target)| item(name.to_string(), Source::Link(target))));
    items
}

/// Returns what is to be installed of the COM library, built or not.
pub fn of_com(workspace: &Workspace, place: &Place) -> [Item; 2] {
    let item = |below: &str, from: PathBuf, mode| Item {
        name: place.prefix().join(below),
        source: Source::Copy(from, mode),
    };
    let header = workspace.root.join(com::HEADER);
    [
        item("lib/vmware-vix/VixCOM.dll", com::dll(workspace), 0o755),
        item("include/vmware-vix/VixCOM.h", header, 0o644),
    ]
}

fn headers(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).doing(folder.display())?.flatten();
    let mut headers: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "h"))
        .collect();
    headers.sort();
    if headers.is_empty() {
        return fail(format!("{} has no headers", folder.display()));
    }
    Ok(headers)
}

/// Returns the text of `vix.pc`.
///
/// A program built by it carries the library's folder: below most prefixes, no loader looks there.
fn pkg_config(prefix: &Path) -> String {
    // The root's own slash would make `//lib`.
    let prefix = prefix.display().to_string();
    let prefix = prefix.trim_end_matches('/').replace(' ', "\\ ");
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "prefix={prefix}\n\
         libdir=${{prefix}}/lib\n\
         includedir=${{prefix}}/include\n\
         \n\
         Name: vix\n\
         Description: The VIX C API, by Replix\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}/vmware-vix\n\
         Libs: -L${{libdir}}/vmware-vix -Wl,-rpath,${{libdir}}/vmware-vix -lvixAllProducts\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Run, command};

    fn items(prefix: &str) -> Vec<Item> {
        let root = tempfile::tempdir().unwrap();
        let include = root.path().join(HEADERS);
        fs::create_dir_all(&include).unwrap();
        for name in ["vm_basic_types.h", "vix.h", "notes.txt"] {
            fs::write(include.join(name), "").unwrap();
        }
        let workspace = Workspace {
            root: root.path().into(),
            target: "/t".into(),
            has_integration_tests: false,
        };
        of(&workspace, &Place::new(Path::new(prefix), None).unwrap()).unwrap()
    }

    #[test]
    fn everything_is_where_clients_look() {
        let items = items("/usr/local");
        let names: Vec<_> = items
            .iter()
            .map(|item| {
                item.name
                    .strip_prefix("/usr/local")
                    .unwrap()
                    .to_str()
                    .unwrap()
            })
            .collect();
        assert_eq!(
            names,
            [
                "bin/replix",
                "bin/vmrun",
                "lib/vmware-vix/libvixAllProducts.so",
                "lib/libvixAllProducts.so",
                "lib/vmware-vix/lib/libvixAllProducts.so",
                "include/vmware-vix/vix.h",
                "include/vmware-vix/vm_basic_types.h",
                "lib/pkgconfig/vix.pc",
            ]
        );
        assert_eq!(
            items[1].source,
            Source::Copy("/t/release/vmrun".into(), 0o755)
        );
        let library = Source::Copy("/t/release/libvixAllProducts.so".into(), 0o755);
        assert_eq!(items[2].source, library);
    }

    #[test]
    fn companions_are_one_program() {
        let workspace = Workspace {
            root: "/w".into(),
            target: "/t".into(),
            has_integration_tests: false,
        };
        let place = Place::new(Path::new("/usr"), None).unwrap();
        let items = companions(&workspace, &place);
        assert_eq!(items[0].name, Path::new("/usr/bin/vmware"));
        assert_eq!(items[1].name, Path::new("/usr/bin/vmware-vdiskmanager"));
        for item in &items[2..] {
            let Source::Link(target) = item.source else {
                panic!("{item:?} is no link");
            };
            let folder = item.name.parent().unwrap();
            let mut path = PathBuf::new();
            for part in folder.join(target).components() {
                match part {
                    std::path::Component::ParentDir => assert!(path.pop()),
                    part => path.push(part),
                }
            }
            assert_eq!(path, items[0].name);
        }
    }

    #[test]
    fn pkg_config_names_the_prefix() {
        let text = |prefix| pkg_config(Path::new(prefix));
        assert!(text("/usr/local").starts_with("prefix=/usr/local\nlibdir=${prefix}/lib\n"));
        assert!(text("/opt/a b").starts_with("prefix=/opt/a\\ b\n"));
        assert!(text("/").starts_with("prefix=\n"));
    }

    #[test]
    fn pkg_config_carries_blanks_and_umlauts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("vix.pc"),
            pkg_config(Path::new("/opt/a ü~1")),
        )
        .unwrap();
        // As a makefile would hand it to a compiler.
        let script = r#"eval "set -- $(pkg-config --cflags --libs vix)"; printf '%s\n' "$@""#;
        let said = command("sh", ["-c", script])
            .env("PKG_CONFIG_PATH", folder.path())
            .text()
            .unwrap();
        let flags: Vec<_> = said.lines().collect();
        let expected = [
            "-I/opt/a ü~1/include/vmware-vix",
            "-L/opt/a ü~1/lib/vmware-vix",
            "-Wl,-rpath,/opt/a ü~1/lib/vmware-vix",
            "-lvixAllProducts",
        ];
        assert_eq!(flags, expected);
    }

    #[test]
    fn workspace_without_headers_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let failure = headers(root.path()).unwrap_err().to_string();
        assert!(failure.ends_with(" has no headers"), "{failure}");
    }
}
