//! Disks made by hand for unit tests: any grain, any cut, grains of zeros, and the bytes that a
//! guest must see.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::graft::Graft;
use super::{Chain, Opener, Places, set_content_id};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Layout, TABLE_ENTRIES, ZERO_GRAIN};
use crate::store::{Access, Mem, Store, folder_of, write_new};

/// One link of a disk to be made.
#[derive(Clone, Debug)]
pub struct LinkSpec {
    /// Sectors of each extent; their sum is the capacity.
    pub cut: Vec<u64>,
    /// Sectors of a grain.
    pub grain: u64,
    /// Grains that are there: a place, scaled to the disk, and what fills it. `None` is zeros.
    pub grains: Vec<(u16, Option<u8>)>,
}

/// A disk in memory, and what it must read as.
pub struct Sample {
    /// Where it is.
    pub store: Mem,
    /// Its link nearest to the guest.
    pub top: PathBuf,
    /// What the guest sees.
    pub content: Vec<u8>,
}

impl Sample {
    /// Makes a chain, the base first.
    pub fn new(links: &[LinkSpec]) -> Self {
        let store = Mem::new();
        store.create_dir(Path::new("/vm")).unwrap();
        let sectors: u64 = links[0].cut.iter().sum();
        let mut sample = Self {
            store,
            top: PathBuf::new(),
            content: vec![0; (sectors * SECTOR) as usize],
        };
        for (i, link) in links.iter().enumerate() {
            sample.add(i, link);
        }
        sample
    }

    /// Opens the disk at `path` of this sample.
    pub fn open(&self, path: &Path) -> Chain {
        self.opener().open(path).unwrap()
    }

    /// Returns what opens its disks.
    pub fn opener(&self) -> Opener {
        let places = Places::of(&self.store, Path::new("/vm")).unwrap();
        Opener::new(Arc::new(self.store.clone()), places)
    }

    fn add(&mut self, i: usize, link: &LinkSpec) {
        let mut text = format!("# Disk DescriptorFile\nversion=1\nCID={:08x}\n", i + 1);
        match i.checked_sub(1) {
            None => text += "parentCID=ffffffff\ncreateType=\"twoGbMaxExtentSparse\"\n",
            Some(parent) => {
                text += &format!(
                    "parentCID={i:08x}\ncreateType=\"twoGbMaxExtentSparse\"\n\
                     parentFileNameHint=\"d{parent}.vmdk\"\n"
                );
            }
        }
        let mut first = 0;
        for (j, sectors) in link.cut.iter().enumerate() {
            let name = format!("d{i}-s{j}.vmdk");
            text += &format!("RW {sectors} SPARSE \"{name}\"\n");
            let bytes = self.extent(link, first, *sectors);
            write_new(&self.store, &Path::new("/vm").join(name), &bytes).unwrap();
            first += sectors;
        }
        self.top = PathBuf::from(format!("/vm/d{i}.vmdk"));
        write_new(&self.store, &self.top, text.as_bytes()).unwrap();
    }

    /// Returns the bytes of one extent, and puts what it holds into the content.
    fn extent(&mut self, link: &LinkSpec, first: u64, sectors: u64) -> Vec<u8> {
        let tables = sectors.div_ceil(link.grain * TABLE_ENTRIES);
        let directory = (tables * 4).div_ceil(SECTOR);
        let (rgd, gd) = (1, 1 + directory + tables * 4);
        let overhead = (gd + directory + tables * 4).next_multiple_of(link.grain);
        let mut bytes = vec![0; (overhead * SECTOR) as usize];
        let mut put = |at: u64, value: &[u8]| {
            bytes[at as usize..at as usize + value.len()].copy_from_slice(value);
        };
        put(0, &Layout::new(sectors, false).unwrap().header());
        put(4, &2u32.to_le_bytes());
        put(8, &7u32.to_le_bytes());
        for (at, value) in [(20, link.grain), (48, rgd), (56, gd), (64, overhead)] {
            put(at, &value.to_le_bytes());
        }
        for start in [rgd, gd] {
            for table in 0..tables {
                let sector = (start + directory + table * 4) as u32;
                put(start * SECTOR + table * 4, &sector.to_le_bytes());
            }
        }
        let mut seen = Vec::new();
        for (place, fill) in &link.grains {
            let sector = self.content.len() as u64 / SECTOR * u64::from(*place) / 65536;
            let Some(index) = sector.checked_sub(first).map(|within| within / link.grain) else {
                continue;
            };
            if index * link.grain >= sectors || seen.contains(&index) {
                continue;
            }
            seen.push(index);
            let entry = match fill {
                None => ZERO_GRAIN,
                Some(_) => (bytes.len() as u64 / SECTOR) as u32,
            };
            for start in [rgd, gd] {
                let at = ((start + directory) * SECTOR + index * 4) as usize;
                bytes[at..at + 4].copy_from_slice(&entry.to_le_bytes());
            }
            let begin = first + index * link.grain;
            let end = (begin + link.grain).min(first + sectors);
            let visible = (begin * SECTOR) as usize..(end * SECTOR) as usize;
            self.content[visible].fill(fill.unwrap_or(0));
            if let Some(fill) = fill {
                bytes.resize(bytes.len() + (link.grain * SECTOR) as usize, *fill);
            }
        }
        bytes
    }
}

/// Writes a grain that is not there yet to the first extent of the link at `path`, as a guest would:
/// the link has another content id then.
pub(crate) fn write_grain(store: &Mem, path: &Path, number: u64, fill: u8) {
    let places = Places::of(store, folder_of(path)).unwrap();
    let opener = Opener::new(Arc::new(store.clone()), places);
    let link = opener.open_link(path).unwrap();
    let extent = &link.extents()[0];
    let header = *extent.header().unwrap();
    let file = link.extent_path(extent);
    let bytes = store.open(&file, Access::Write).unwrap();
    let mut graft = Graft::new(bytes.into(), file, header).unwrap();
    let grain = vec![fill; header.grain_bytes() as usize];
    graft.append(number, &grain).unwrap();
    graft.finish().unwrap();
    let cid = link.cid().wrapping_add(u32::from(fill) + 1) & 0x7fff_ffff;
    set_content_id(store, &opener.open_link(path).unwrap(), cid, None).unwrap();
}

/// Any chain of one to four links of one capacity.
pub fn any_chain() -> impl Strategy<Value = Vec<LinkSpec>> {
    (1u64..24_000).prop_flat_map(|sectors| prop::collection::vec(any_link(sectors), 1..5))
}

fn any_link(sectors: u64) -> impl Strategy<Value = LinkSpec> {
    let grain = prop::sample::select(vec![16u64, 32, 128, 1024]);
    let fill = prop_oneof![4 => (0u8..4).prop_map(Some), 1 => Just(None)];
    let grains = prop::collection::vec((any::<u16>(), fill), 0..24);
    (any_cut(sectors), grain, grains).prop_map(|(cut, grain, grains)| LinkSpec {
        cut,
        grain,
        grains,
    })
}

fn any_cut(sectors: u64) -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(1u64..16_000, 0..3).prop_map(move |pieces| {
        let mut left = sectors;
        let mut cut = Vec::new();
        for piece in pieces {
            if piece < left {
                cut.push(piece);
                left -= piece;
            }
        }
        cut.push(left);
        cut
    })
}

mod properties {
    use super::*;
    use crate::disk::Link;
    use crate::disk::ordered::Team;
    use crate::disk::stream::Stream;
    use crate::disk::{
        ContentId, Copy, USUAL_LEVEL, absorb, check, compact, copy, create_child, export, merge,
        relink, to_compact,
    };
    use crate::format::vmdk::CreateType;
    use crate::job::Job;
    use crate::store::{Access, Skill};

    fn any_skill() -> impl Strategy<Value = Skill> {
        prop_oneof![
            Just(Skill::None),
            Just(Skill::Share),
            (0u32..4).prop_map(Skill::ShareTimes),
            Just(Skill::Copy),
        ]
    }

    fn read(chain: &Chain) -> Vec<u8> {
        let mut bytes = vec![0xee; chain.capacity_bytes() as usize];
        chain.read(&mut bytes, 0).unwrap();
        bytes
    }

    fn bytes_of(store: &Mem, path: &Path) -> Vec<u8> {
        let file = store.open(path, Access::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn assert_sound(sample: &Sample, path: &Path) {
        let report = check(&sample.opener(), path, &Job::new()).unwrap();
        assert_eq!(report.errors, [""; 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_chain_reads_as_its_links_say(links in any_chain(), cuts in any::<[u16; 2]>()) {
            let sample = Sample::new(&links);
            let chain = sample.open(&sample.top);
            prop_assert!(read(&chain) == sample.content);
            assert_sound(&sample, &sample.top);
            let [a, b] = cuts.map(|cut| sample.content.len() * usize::from(cut) / 65536);
            let range = a.min(b)..a.max(b);
            let mut part = vec![0xee; range.len()];
            chain.read(&mut part, range.start as u64).unwrap();
            prop_assert!(part == sample.content[range]);
        }

        #[test]
        fn the_map_covers_the_disk_once(links in any_chain()) {
            let sample = Sample::new(&links);
            let chain = sample.open(&sample.top);
            let mut at = 0;
            for entry in chain.map() {
                let entry = entry.unwrap();
                prop_assert_eq!(entry.offset, at);
                at += entry.length;
            }
            prop_assert_eq!(at, chain.capacity_bytes());
        }

        #[test]
        fn a_compacted_disk_reads_the_same(links in any_chain()) {
            let sample = Sample::new(&links);
            let chain = sample.open(&sample.top);
            let below = chain.links()[1..].iter().flat_map(Link::files);
            let below: Vec<_> = below.map(|path| (bytes_of(&sample.store, &path), path)).collect();
            let job = Job::new();
            job.expect_bytes(to_compact(&chain).unwrap());
            compact(&sample.store, &chain, &job).unwrap();
            let progress = job.progress();
            prop_assert_eq!(progress.done_bytes, progress.total_bytes);
            let compacted = sample.open(&sample.top);
            prop_assert!(read(&compacted) == sample.content);
            assert_sound(&sample, &sample.top);
            for (bytes, path) in below {
                prop_assert!(bytes_of(&sample.store, &path) == bytes);
            }
        }

        #[test]
        fn a_copy_reads_the_same(links in any_chain(), flat: bool, split: bool, skill in any_skill()) {
            let sample = Sample::new(&links);
            sample.store.teach(skill);
            let create_type = match (flat, split) {
                (false, false) => CreateType::MonolithicSparse,
                (true, false) => CreateType::MonolithicFlat,
                (false, true) => CreateType::SplitSparse,
                (true, true) => CreateType::SplitFlat,
            };
            let path = Path::new("/vm/copy.vmdk");
            let spec = Copy {
                path,
                create_type: Some(create_type),
                preallocated: false,
                uuid: None,
                content_id: ContentId::Keep,
            };
            let chain = sample.open(&sample.top);
            let job = Job::new();
            let moved = copy(&sample.store, &chain, &spec, &job).unwrap().moved;
            prop_assert_eq!(job.progress().done_bytes, chain.data_bytes().unwrap());
            if matches!(skill, Skill::None | Skill::Copy) {
                prop_assert_eq!(moved.shared, 0);
            }
            if skill != Skill::Copy {
                prop_assert_eq!(moved.handed_over, 0);
            }
            prop_assert!(read(&sample.open(path)) == sample.content);
            assert_sound(&sample, path);
            let child = Path::new("/vm/child.vmdk");
            create_child(&sample.store, &sample.open(path), child, "copy.vmdk").unwrap();
            prop_assert!(read(&sample.open(child)) == sample.content);
        }

        #[test]
        fn a_stream_is_the_same_whatever_the_threads(links in any_chain()) {
            let sample = Sample::new(&links);
            let chain = sample.open(&sample.top);
            let path = Path::new("/vm/s.vmdk");
            let spec = Copy {
                path,
                create_type: None,
                preallocated: false,
                uuid: None,
                content_id: ContentId::Keep,
            };
            export(&sample.store, &chain, &spec, USUAL_LEVEL, &Job::new()).unwrap();
            prop_assert!(read(&sample.open(path)) == sample.content);
            assert_sound(&sample, path);
            let copied = Path::new("/vm/copied.vmdk");
            let spec = Copy { path: copied, ..spec.clone() };
            copy(&sample.store, &sample.open(path), &spec, &Job::new()).unwrap();
            prop_assert!(read(&sample.open(copied)) == sample.content);
            assert_sound(&sample, copied);
            let whole = bytes_of(&sample.store, path);
            for threads in [1, 2, 7] {
                let again = Path::new("/vm/again");
                let file = sample.store.create(again).unwrap();
                let stream = Stream { chain: &chain, path: again, level: USUAL_LEVEL, team: Team { threads, waiting: threads } };
                stream.write(file.as_ref(), &Job::new()).unwrap();
                let bytes = bytes_of(&sample.store, again);
                let (grains, descriptor) = (128 * 512, 512..21 * 512);
                prop_assert!(bytes[grains..] == whole[grains..], "{threads}");
                prop_assert!(bytes[..descriptor.start] == whole[..descriptor.start]);
                sample.store.remove_file(again).unwrap();
            }
        }

        #[test]
        fn damage_ends_in_an_error_at_worst(
            links in any_chain(),
            damage in prop::collection::vec((0u64..1 << 15, any::<u8>()), 1..8),
            file in 0usize..8,
        ) {
            let sample = Sample::new(&links);
            let names = sample.store.list(Path::new("/vm")).unwrap();
            let path = Path::new("/vm").join(&names[file % names.len()].name);
            let bytes = sample.store.open(&path, Access::Write).unwrap();
            for (at, value) in damage {
                bytes.write_at(&[value], at % bytes.len().unwrap()).unwrap();
            }
            let _ = check(&sample.opener(), &sample.top, &Job::new());
            if let Ok(chain) = sample.opener().open(&sample.top)
                && chain.sectors() * SECTOR <= sample.content.len() as u64
            {
                let mut content = sample.content.clone();
                let _ = chain.read(&mut content, 0);
                prop_assert!(chain.map().count() > 0);
                let _ = merge(&chain, &Job::new());
            }
        }

        #[test]
        fn damage_to_a_stream_ends_in_an_error_at_worst(
            links in any_chain(),
            damage in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8),
            of_tables: bool,
        ) {
            let sample = Sample::new(&links);
            let path = Path::new("/vm/s.vmdk");
            let spec = Copy {
                path,
                create_type: Some(CreateType::StreamOptimized),
                preallocated: false,
                uuid: None,
                content_id: ContentId::Keep,
            };
            copy(&sample.store, &sample.open(&sample.top), &spec, &Job::new()).unwrap();
            let file = sample.store.open(path, Access::Write).unwrap();
            let len = file.len().unwrap();
            for (at, value) in damage {
                let at = u64::from(at);
                // Anywhere, or in the header and behind the last grain, where the tables are.
                let at = match of_tables {
                    true if at < 1 << 10 => at % 512,
                    true => len - 1 - at % len.min(6 << 10),
                    false => at * len / (1 << 16),
                };
                file.write_at(&[value], at).unwrap();
            }
            let _ = check(&sample.opener(), path, &Job::new());
            if let Ok(chain) = sample.opener().open(path)
                && chain.sectors() * SECTOR <= sample.content.len() as u64
            {
                let mut content = sample.content.clone();
                let _ = chain.read(&mut content, 0);
                prop_assert!(chain.map().count() > 0);
                let spec = Copy { path: Path::new("/vm/c.vmdk"), create_type: None, ..spec };
                if copy(&sample.store, &chain, &spec, &Job::new()).is_err() {
                    prop_assert!(!sample.store.exists(spec.path));
                }
            }
        }

        #[test]
        fn a_merged_chain_reads_the_same(links in any_chain()) {
            let sample = Sample::new(&links);
            for i in (1..links.len()).rev() {
                let child = PathBuf::from(format!("/vm/d{i}.vmdk"));
                let parent = PathBuf::from(format!("/vm/d{}.vmdk", i - 1));
                merge(&sample.open(&child), &Job::new()).unwrap();
                prop_assert!(read(&sample.open(&sample.top)) == sample.content);
                prop_assert!(read(&sample.open(&parent)) == sample.content);
                assert_sound(&sample, &parent);
            }
        }

        #[test]
        fn a_link_that_took_its_parent_in_reads_the_same(links in any_chain()) {
            let sample = Sample::new(&links);
            // Each child of a parent's parent, and what stands on it.
            for i in (2..links.len()).rev() {
                let child = PathBuf::from(format!("/vm/d{i}.vmdk"));
                absorb(&sample.open(&child), &Job::new()).unwrap();
                let opener = sample.opener();
                let below = opener.open_link(Path::new(&format!("/vm/d{}.vmdk", i - 2))).unwrap();
                let hint = format!("d{}.vmdk", i - 2);
                let link = opener.open_link(&child).unwrap();
                relink(&sample.store, &link, &hint, below.cid()).unwrap();
                prop_assert!(read(&sample.open(&sample.top)) == sample.content);
                assert_sound(&sample, &child);
            }
        }
    }
}
