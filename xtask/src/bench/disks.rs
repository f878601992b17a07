//! Copies of whole disks beside `qemu-img`, `cp` and what the machine can do, by turns on the same files.
//!
//! The disks are made here: 8 GiB for a guest, 1.5 GiB of mixed data in pieces all over them, in three
//! layouts and in chains of 3 and of 12 links; on the file system of the target folder, and on XFS and
//! btrfs in images.

mod images;
mod race;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

use self::images::Image;
use self::race::{Cache, Racer, Times, race};
use self::sources::{Sources, files_of};
use super::{median, millis};
use crate::run::{Doing, Result, Run, command, fail, say};
use crate::workspace::Workspace;

/// How large the disks are, and how often each copy is made.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Pieces of data, 1 MiB each.
    pub pieces: u64,
    /// Between the beginnings of two of them, in MiB.
    pub stride: u64,
    /// Rounds; the median counts.
    pub rounds: usize,
}

impl Scale {
    /// What is published.
    pub const FULL: Self = Self {
        pieces: 1536,
        stride: 5,
        rounds: 5,
    };

    /// What only shows that the benchmark works.
    pub const SMALL: Self = Self {
        pieces: 48,
        stride: 5,
        rounds: 1,
    };

    fn data_mib(self) -> u64 {
        self.pieces
    }
}

/// The layouts: name, VMware's word, and what `qemu-img` is told to make it.
const LAYOUTS: [(&str, &str); 3] = [
    ("single", "monolithicSparse"),
    ("split", "twoGbMaxExtentSparse"),
    ("flat", "monolithicFlat"),
];

/// Measures, in `folder`.
///
/// # Errors
/// When a program fails.
pub fn run(workspace: &Workspace, folder: &Path, scale: Scale) -> Result {
    let lab = Lab {
        copier: workspace.programs().join("examples/copy_disk"),
        replix: workspace.programs().join("replix"),
        scale,
    };
    let sources = Sources::make(folder, scale)?;
    lab.describe(folder)?;
    lab.copies(folder, &sources)?;
    lab.linked(folder, &sources)?;
    for kind in ["xfs", "btrfs"] {
        let room = scale.data_mib() * 5 / 2 + 1024;
        match Image::make(folder, kind, room) {
            Some(image) => lab.shared(kind, &image, &sources)?,
            None => say(format_args!(
                "skipped: no {kind} in an image can be made and mounted here"
            )),
        }
    }
    Ok(())
}

struct Lab {
    copier: PathBuf,
    replix: PathBuf,
    scale: Scale,
}

impl Lab {
    /// The machine, and what its disk can do now.
    fn describe(&self, folder: &Path) -> Result {
        let cpu = fs::read_to_string("/proc/cpuinfo").doing("/proc/cpuinfo")?;
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("", |(_, model)| model);
        let cores = cpu.matches("model name").count();
        let qemu = command("qemu-img", ["--version"]).text()?;
        let kernel = command("uname", ["-r"]).text()?;
        let load = fs::read_to_string("/proc/loadavg").doing("/proc/loadavg")?;
        println!(
            "{cores} cores ({model}), Linux {}, {}, load {}; {} MiB of data, {} rounds",
            kernel.trim(),
            qemu.lines().next().unwrap_or_default(),
            load.split(' ').next().unwrap_or_default(),
            self.scale.data_mib(),
            self.scale.rounds
        );
        let out = folder.join("dd.raw");
        let mut times = Vec::new();
        for _ in 0..self.scale.rounds {
            let _ = fs::remove_file(&out);
            times.push(race::measure(&self.dd(&out))?.wall);
        }
        let _ = fs::remove_file(&out);
        println!(
            "`dd conv=fdatasync` of as many zeros: {:.0} ms\n",
            millis(median(&mut times))
        );
        Ok(())
    }

    fn dd(&self, out: &Path) -> String {
        let count = self.scale.data_mib();
        format!(
            "dd if=/dev/zero of={} bs=1M count={count} conv=fdatasync status=none",
            out.display()
        )
    }

    /// Full copies where nothing can be shared.
    fn copies(&self, folder: &Path, sources: &Sources) -> Result {
        println!(
            "| copy | cache | ours | `qemu-img convert` | `cp` | ours / qemu-img | ours / cp | CPU / qemu-img | ours, peak |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
        for (name, word) in LAYOUTS {
            for cache in [Cache::Warm, Cache::Cold] {
                self.copy(folder, &sources.disk(name), name, word, cache)?;
            }
        }
        for (from, word) in [("single", "monolithicFlat"), ("flat", "monolithicSparse")] {
            self.copy(folder, &sources.disk(from), from, word, Cache::Warm)?;
        }
        for depth in sources::DEPTHS {
            let name = format!("chain of {depth}");
            for cache in [Cache::Warm, Cache::Cold] {
                self.copy(
                    folder,
                    &sources.chain(depth),
                    &name,
                    "monolithicSparse",
                    cache,
                )?;
            }
        }
        println!();
        Ok(())
    }

    fn copy(&self, folder: &Path, disk: &Path, name: &str, word: &str, cache: Cache) -> Result {
        let out = folder.join("out");
        let from = disk.display();
        let to = out.join("copy.vmdk");
        let to = to.display();
        let files = files_of(disk)?;
        let paths: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let convert = |flags: &str| {
            format!(
                "qemu-img convert {flags} -f vmdk -O vmdk -o subformat={word} {from} {to} && sync {}/*",
                out.display()
            )
        };
        let racers = [
            Racer::new(format!("{} {from} {to} {word}", self.copier.display())),
            Racer::new(convert("")),
            Racer::new(convert("-W -m 8")),
            Racer::new(format!(
                "cp --sparse=always --reflink=never {} {out} && sync {out}/*",
                paths.join(" "),
                out = out.display()
            )),
        ];
        let times = race(&racers, &out, &files, cache, self.scale.rounds)?;
        let [ours, plain, unordered, cp] = &times[..] else {
            return fail("a racer is missing");
        };
        let best = match plain.wall() <= unordered.wall() {
            true => plain,
            false => unordered,
        };
        println!(
            "| {name} to {word} | {} | {ours} | {best} | {cp} | {:.2} | {:.2} | {:.2} | {} MiB |",
            cache.name(),
            ours.wall() / best.wall(),
            ours.wall() / cp.wall(),
            ours.cpu() / best.cpu(),
            ours.peak_kib() / 1024
        );
        Ok(())
    }

    /// A linked clone, the whole command with all of its files.
    fn linked(&self, folder: &Path, sources: &Sources) -> Result {
        let vm = sources.vm()?;
        let out = folder.join("out");
        let replix = self.replix.display();
        let base = sources.disk("single");
        command(&self.replix, ["snapshot"])
            .arg(&vm)
            .arg("base")
            .quiet()?;
        let racers = [
            Racer::new(format!(
                "{replix} clone {} {out}/web --linked --snapshot base",
                vm.display(),
                out = out.display()
            )),
            Racer::new(format!(
                "qemu-img create -q -f vmdk -b {} -F vmdk {out}/child.vmdk && sync {out}/child.vmdk {out}",
                base.display(),
                out = out.display()
            )),
        ];
        let rounds = self.scale.rounds * 5;
        let times = race(&racers, &out, &[], Cache::Warm, rounds)?;
        if let [ours, create] = &times[..] {
            println!("| linked clone | time | |\n|---|--:|--:|");
            println!("| `replix clone --linked`, all files, durable | {ours} | |");
            println!(
                "| `qemu-img create -b`, synced | {create} | ours is {:.2} of it |\n",
                ours.wall() / create.wall()
            );
        }
        Ok(())
    }

    /// Copies on a file system whose files share blocks.
    fn shared(&self, kind: &str, image: &Image, sources: &Sources) -> Result {
        println!(
            "| {kind} | runs + extents | allowed | ours, all | ours, in-process | the calls alone | `cp --reflink` | new blocks |"
        );
        println!("|---|--:|--:|--:|--:|--:|--:|--:|");
        for (name, disk) in [
            ("single", sources.disk("single")),
            ("flat", sources.disk("flat")),
            ("chain of 3", sources.chain(3)),
            ("chain of 12", sources.chain(12)),
        ] {
            self.share(image, name, &disk)?;
        }
        println!();
        Ok(())
    }

    fn share(&self, image: &Image, name: &str, original: &Path) -> Result {
        let folder = image.path().join("source");
        fs::create_dir(&folder).doing(folder.display())?;
        for file in files_of(original)? {
            command("cp", ["--sparse=always"])
                .arg(&file)
                .arg(&folder)
                .quiet()?;
        }
        let disk = folder.join(original.file_name().unwrap_or_default());
        let files = files_of(&disk)?;
        command("sync", ["-f"]).arg(&folder).quiet()?;
        let out = image.path().join("out");
        let (from, to) = (disk.display(), out.join("copy.vmdk"));
        let (copier, to) = (self.copier.display(), to.display());
        let first = files[0].display();
        let racers = [
            Racer::new(format!("{copier} {from} {to}")),
            Racer::new(format!("{copier} --calls {from} {to}")),
            Racer::new(format!("cp --reflink=always {first} {to} && sync {to}")),
        ];
        let times = race(
            &racers,
            &out,
            &[],
            Cache::Warm,
            self.scale.rounds.max(3) * 3,
        )?;
        let [ours, calls, cp] = &times[..] else {
            return fail("a racer is missing");
        };
        let new = image.growth(|| command(&self.copier, [&disk, &out.join("new.vmdk")]).quiet())?;
        let pieces = calls.said() + images::extents(&files)?;
        println!(
            "| {name} | {pieces} | {:.0} ms | {ours} | {:.1} ms | {:.1} ms ({:.2}) | {cp} | {:.2}% |",
            25.0 + 0.03 * pieces as f64,
            ours.own_ms(),
            calls.own_ms(),
            ours.own_ms() / calls.own_ms(),
            new as f64 / (self.scale.data_mib() << 20) as f64 * 100.0
        );
        for used in [folder, out] {
            fs::remove_dir_all(&used).doing(used.display())?;
        }
        Ok(())
    }
}
