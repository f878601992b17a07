//! Reading a disk through its whole chain.

use super::chain::Chain;
use super::map::{Run, Stored};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;

impl Chain {
    /// Fills `buf` with what the guest sees from byte `offset` on.
    ///
    /// # Errors
    /// `DiskRange` past the end; `DiskInvalid` where a file ends before its data; what the system
    /// says.
    pub fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64);
        let Some(end) = end.filter(|end| *end <= self.capacity_bytes()) else {
            let text = format!(
                "{} has {} bytes: {} bytes at {offset} lie outside",
                quoted(self.top().path()),
                self.capacity_bytes(),
                buf.len()
            );
            return Err(Error::new(Kind::DiskRange, text).at(self.top().path()));
        };
        let first = offset / SECTOR;
        for run in self.runs(first, end.div_ceil(SECTOR) - first) {
            let run = run?;
            let start = (run.sector * SECTOR).max(offset);
            let stop = ((run.sector + run.sectors) * SECTOR).min(end);
            let part = &mut buf[(start - offset) as usize..(stop - offset) as usize];
            self.read_run(&run, start - run.sector * SECTOR, part)?;
        }
        Ok(())
    }

    /// Fills `buf` from a run, beginning `skip` bytes into it.
    pub(super) fn read_run(&self, run: &Run, skip: u64, buf: &mut [u8]) -> Result<()> {
        match run.stored {
            Stored::Data(file, offset) => self.pool().read(file, buf, offset + skip),
            Stored::Packed(packed) => self.unpack(&packed, skip, buf),
            Stored::Nothing | Stored::Zeros => {
                buf.fill(0);
                Ok(())
            }
        }
    }
}
