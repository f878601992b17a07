//! Copies of whole disks beside `qemu-img`, `cp` and what the machine can do, by turns on the same files.
//!
//! The disks are made here: 8 GiB for a guest, 1.5 GiB of mixed data in pieces all over them, in three
//! layouts and in chains of 3 and of 12 links; on the file system of the target folder, and on XFS and
//! btrfs in images.

mod images;
mod race;
mod sources;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use self::images::Image;
use self::race::{Cache, Racer, Runs, Times, race};
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
    describe(scale)?;
    let speed = Speed::measure(folder, scale)?;
    lab.copies(folder, &sources, &speed)?;
    lab.packed(folder, &sources, &speed)?;
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
    /// Full copies where nothing can be shared.
    fn copies(&self, folder: &Path, sources: &Sources, speed: &Speed) -> Result {
        println!(
            "| copy | cache | ours | `qemu-img convert` | `cp` | ours / qemu-img | ours / cp | CPU / qemu-img | ours, peak | the disk / ours |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        for (name, word) in LAYOUTS {
            for cache in [Cache::Warm, Cache::Cold] {
                self.copy(folder, (&sources.disk(name), name), word, cache, speed)?;
            }
        }
        for (from, word) in [("single", "monolithicFlat"), ("flat", "monolithicSparse")] {
            let disk = sources.disk(from);
            self.copy(folder, (&disk, from), word, Cache::Warm, speed)?;
        }
        for depth in sources::DEPTHS {
            let (disk, name) = (sources.chain(depth), format!("chain of {depth}"));
            for cache in [Cache::Warm, Cache::Cold] {
                self.copy(folder, (&disk, &name), "monolithicSparse", cache, speed)?;
            }
        }
        Ok(())
    }

    fn copy(
        &self,
        folder: &Path,
        (disk, name): (&Path, &str),
        word: &str,
        cache: Cache,
        speed: &Speed,
    ) -> Result {
        let out = folder.join("out");
        let to = out.join("copy.vmdk");
        let files = files_of(disk)?;
        let paths: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let racers = [
            Racer::new(format!(
                "{} {} {} {word}",
                self.copier.display(),
                disk.display(),
                to.display()
            )),
            convert("", word, disk, &to),
            convert("-W -m 8", word, disk, &to),
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
        let best = best(plain, unordered);
        let data = allocated(&files)?;
        println!(
            "| {name} to {word} | {} | {ours} | {best} | {cp} | {:.2} | {:.2} | {:.2} | {} MiB | {:.2} |",
            cache.name(),
            ours.wall() / best.wall(),
            ours.wall() / cp.wall(),
            ours.cpu() / best.cpu(),
            ours.peak_kib() / 1024,
            speed.of(cache, data, data) / ours.wall()
        );
        Ok(())
    }

    /// Disks packed to be sent, and unpacked.
    fn packed(&self, folder: &Path, sources: &Sources, speed: &Speed) -> Result {
        let out = folder.join("out");
        let disk = sources.disk("single");
        let (packed, to) = (folder.join("packed.vmdk"), out.join("copy.vmdk"));
        let replix = self.replix.display();
        let ours = |verb: &str, from: &Path, to: &Path| {
            Racer::new(format!(
                "{replix} disk {verb} {} {}",
                from.display(),
                to.display()
            ))
        };
        command(&self.replix, ["disk", "export"])
            .args([&disk, &packed])
            .quiet()?;
        let size = allocated(&[&packed])?;
        let data = allocated(&[&disk])?;
        let stream = "streamOptimized";
        let export = [ours("export", &disk, &to), convert("", stream, &disk, &to)];
        // The peer takes a minute for it.
        let rounds = self.scale.rounds.min(2);
        let times = race(
            &export,
            &out,
            std::slice::from_ref(&disk),
            Cache::Warm,
            rounds,
        )?;
        if let [ours, plain] = &times[..] {
            tell_packed(
                "single to streamOptimized",
                ours,
                plain,
                speed.of(Cache::Warm, data, size),
            );
        }
        let import = [
            ours("import", &packed, &to),
            convert("", "monolithicSparse", &packed, &to),
            convert("-W -m 8", "monolithicSparse", &packed, &to),
        ];
        let files = std::slice::from_ref(&packed);
        let times = race(&import, &out, files, Cache::Warm, self.scale.rounds)?;
        if let [ours, plain, unordered] = &times[..] {
            let best = best(plain, unordered);
            tell_packed(
                "streamOptimized to monolithicSparse",
                ours,
                best,
                speed.of(Cache::Warm, size, data),
            );
        }
        println!();
        fs::remove_file(&packed).doing(packed.display())
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

/// What the disk of a folder can do now.
struct Speed {
    /// Bytes a second.
    read: f64,
    /// The same.
    write: f64,
}

impl Speed {
    /// Has `dd` write and read as much as is copied.
    fn measure(folder: &Path, scale: Scale) -> Result<Self> {
        let file = folder.join("dd.raw");
        let (path, count) = (file.display(), scale.data_mib());
        let write =
            format!("dd if=/dev/zero of={path} bs=1M count={count} conv=fdatasync status=none");
        let read = format!("dd if={path} of=/dev/null bs=1M status=none");
        let mut times: [Vec<_>; 2] = Default::default();
        for _ in 0..scale.rounds {
            let _ = fs::remove_file(&file);
            times[0].push(race::measure(&write)?.wall);
            race::drop_cache(&file)?;
            times[1].push(race::measure(&read)?.wall);
        }
        fs::remove_file(&file).doing(file.display())?;
        let [write, read] = times.map(|mut times| median(&mut times));
        println!(
            "`dd conv=fdatasync` of as many zeros: {:.0} ms; to read them, cold: {:.0} ms\n",
            millis(write),
            millis(read)
        );
        let bytes = (scale.data_mib() << 20) as f64;
        Ok(Self {
            read: bytes / read.as_secs_f64(),
            write: bytes / write.as_secs_f64(),
        })
    }

    /// How long it takes to write `written` bytes, in seconds, and to read `read` before where those
    /// are not in the cache.
    fn of(&self, cache: Cache, read: u64, written: u64) -> f64 {
        let read = match cache {
            Cache::Warm => 0.0,
            Cache::Cold => read as f64 / self.read,
        };
        read + written as f64 / self.write
    }
}

/// The machine.
fn describe(scale: Scale) -> Result {
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
        scale.data_mib(),
        scale.rounds
    );
    Ok(())
}

fn convert(flags: &str, word: &str, from: &Path, to: &Path) -> Racer {
    let (from, to) = (from.display(), to.display());
    Racer::new(format!(
        "qemu-img convert {flags} -f vmdk -O vmdk -o subformat={word} {from} {to} && sync $(dirname {to})/*"
    ))
}

fn best<'a>(one: &'a Runs, other: &'a Runs) -> &'a Runs {
    match one.wall() <= other.wall() {
        true => one,
        false => other,
    }
}

fn tell_packed(what: &str, ours: &Runs, theirs: &Runs, bound: f64) {
    println!(
        "| {what} | warm | {ours} | {theirs} | | {:.2} | | {:.2} | {} MiB | {:.2} |",
        ours.wall() / theirs.wall(),
        ours.cpu() / theirs.cpu(),
        ours.peak_kib() / 1024,
        bound / ours.wall()
    );
}

/// What files take of the disk, in bytes.
fn allocated(files: &[impl AsRef<Path>]) -> Result<u64> {
    let sizes = files.iter().map(|file| {
        let file = file.as_ref();
        Ok(fs::metadata(file).doing(file.display())?.blocks() * 512)
    });
    sizes.sum()
}
