//! Comparing two disks: what a guest sees of them, without reading what is known to be the same.

use std::ops::Range;

use super::chain::Chain;
use super::map::{Run, Stored};
use super::{Comparison, Link};
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::job::Job;

/// Bytes of each disk that are read at once.
const BYTES: u64 = 2 << 20;

/// Compares two disks, up to the end of the smaller one.
///
/// The job advances by the length of that. Stretches that both have in the same place of the same
/// file, and those that both know to be zeros, are not read.
///
/// # Errors
/// `Cancelled`; `Busy` where one of them changed meanwhile; whatever reading says.
pub fn compare(one: &Chain, other: &Chain, job: &Job) -> Result<Comparison> {
    let found = Pair { one, other, job }.first_difference();
    for link in one.links().iter().chain(other.links()) {
        Link::require_unchanged(link)?;
    }
    Ok(Comparison {
        capacity_bytes: [one.capacity_bytes(), other.capacity_bytes()],
        first_difference: found?,
    })
}

/// Two disks under comparison.
struct Pair<'a> {
    one: &'a Chain,
    other: &'a Chain,
    job: &'a Job,
}

impl Pair<'_> {
    /// Returns the first byte in which they differ.
    fn first_difference(&self) -> Result<Option<u64>> {
        let end = self.one.sectors().min(self.other.sectors());
        let mut buffers = [Vec::new(), Vec::new()];
        // Sectors, side by side, that are still to be read.
        let mut gathered = 0..0;
        let (mut ones, mut others) = (self.one.runs(0, end), self.other.runs(0, end));
        let (mut a, mut b) = (ones.next().transpose()?, others.next().transpose()?);
        while let (Some(one), Some(other)) = (a, b) {
            let (one_end, other_end) = (one.sector + one.sectors, other.sector + other.sectors);
            let (start, stop) = (one.sector.max(other.sector), one_end.min(other_end));
            if self.is_same(&one, &other, start) {
                self.job.advance((stop - start) * SECTOR);
            } else {
                if gathered.end != start {
                    if let Some(found) = self.compare(gathered, &mut buffers)? {
                        return Ok(Some(found));
                    }
                    gathered = start..start;
                }
                gathered.end = stop;
                while gathered.end - gathered.start >= BYTES / SECTOR {
                    let next = gathered.start + BYTES / SECTOR;
                    if let Some(found) = self.compare(gathered.start..next, &mut buffers)? {
                        return Ok(Some(found));
                    }
                    gathered.start = next;
                }
            }
            if one_end == stop {
                a = ones.next().transpose()?;
            }
            if other_end == stop {
                b = others.next().transpose()?;
            }
        }
        self.compare(gathered, &mut buffers)
    }

    /// Tells whether two runs are known to be the same from `sector` on, which is in both.
    fn is_same(&self, one: &Run, other: &Run, sector: u64) -> bool {
        let place = |chain: &Chain, run: &Run| match run.stored {
            Stored::Data(file, offset) => {
                let skipped = (sector - run.sector) * SECTOR;
                Some((chain.pool().path(file), offset + skipped))
            }
            _ => None,
        };
        let is_zero = |run: &Run| matches!(run.stored, Stored::Nothing | Stored::Zeros);
        if is_zero(one) || is_zero(other) {
            return is_zero(one) && is_zero(other);
        }
        let place_of_one = place(self.one, one);
        place_of_one.is_some() && place_of_one == place(self.other, other)
    }

    /// Reads the same sectors of both; returns the first byte in which they differ.
    fn compare(&self, sectors: Range<u64>, buffers: &mut [Vec<u8>; 2]) -> Result<Option<u64>> {
        self.job.check()?;
        let len = (sectors.end - sectors.start) * SECTOR;
        let start = sectors.start * SECTOR;
        for (buffer, chain) in buffers.iter_mut().zip([self.one, self.other]) {
            buffer.resize(len as usize, 0);
            chain.read(buffer, start)?;
        }
        self.job.advance(len);
        let [one, other] = buffers;
        if one == other {
            return Ok(None);
        }
        let same = one.iter().zip(&*other).take_while(|(a, b)| a == b).count();
        Ok(Some(start + same as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::testing::{Sample, any_chain};
    use super::*;
    use crate::disk::{Opener, Places};
    use crate::store::{Store, read_small, write_new};

    /// Opens the disk of `b` in the store of `a`, under a path of its own: files are known by theirs.
    fn beside(a: &Sample, b: &Sample) -> Chain {
        let folder = Path::new("/other");
        a.store.create_dir(folder).unwrap();
        for entry in b.store.list(Path::new("/vm")).unwrap() {
            let from = Path::new("/vm").join(&entry.name);
            let bytes = read_small(&b.store, &from, 1 << 30).unwrap();
            write_new(&a.store, &folder.join(&entry.name), &bytes).unwrap();
        }
        let places = Places::of(&a.store, folder).unwrap();
        let opener = Opener::new(Arc::new(a.store.clone()), places);
        opener
            .open(&folder.join(b.top.file_name().unwrap()))
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn first_difference_is_that_of_the_contents(a in any_chain(), b in any_chain()) {
            let (a, b) = (Sample::new(&a), Sample::new(&b));
            let differ = a.content.iter().zip(&b.content).position(|(a, b)| a != b);
            let (one, other) = (a.open(&a.top), beside(&a, &b));
            let job = Job::new();
            let found = compare(&one, &other, &job).unwrap();
            prop_assert_eq!(found.first_difference, differ.map(|at| at as u64));
            let lengths = [a.content.len() as u64, b.content.len() as u64];
            prop_assert_eq!(found.capacity_bytes, lengths);
            prop_assert_eq!(found.is_same(), a.content == b.content);
            let own = compare(&one, &a.open(&a.top), &job).unwrap();
            prop_assert!(own.is_same());
        }

        #[test]
        fn parents_are_compared_with_their_children(links in any_chain()) {
            let sample = Sample::new(&links);
            let base = sample.open(std::path::Path::new("/vm/d0.vmdk"));
            let mut content = vec![0; sample.content.len()];
            base.read(&mut content, 0).unwrap();
            let job = Job::new();
            let found = compare(&sample.open(&sample.top), &base, &job).unwrap();
            let differ = content.iter().zip(&sample.content).position(|(a, b)| a != b);
            prop_assert_eq!(found.first_difference, differ.map(|at| at as u64));
            if differ.is_none() {
                prop_assert_eq!(job.progress().done_bytes, content.len() as u64);
            }
        }
    }
}
