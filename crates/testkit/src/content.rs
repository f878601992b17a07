//! Disk contents for tests, made from a seed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::random::Random;

/// One grain of a VMDK, the unit in which contents vary.
const GRAIN: usize = 64 << 10;

/// What a test disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeros only.
    Zero,
    /// Random bytes everywhere.
    Random(u64),
    /// Grains of random bytes, of zeros, half filled ones, and long gaps.
    Mixed(u64),
}

impl Content {
    /// Writes a raw image of `size` bytes to `path`.
    pub fn write_raw(self, path: &Path, size: u64) {
        let file = File::create(path).expect("the test folder takes files");
        file.set_len(size).expect("the test folder has space");
        let mut random = Random::new(self.seed());
        let mut grain = vec![0u8; GRAIN];
        for offset in (0..size).step_by(GRAIN) {
            let len = GRAIN.min((size - offset) as usize);
            let filled = match self {
                Self::Zero => 0,
                Self::Random(_) => len,
                Self::Mixed(_) => match random.number() % 8 {
                    0..3 => len,
                    3 => len / 2,
                    4 => 512.min(len),
                    _ => 0,
                },
            };
            random.fill(&mut grain[..filled]);
            if filled > 0 {
                file.write_all_at(&grain[..filled], offset)
                    .expect("the test folder has space");
            }
        }
    }

    fn seed(self) -> u64 {
        match self {
            Self::Zero => 0,
            Self::Random(seed) | Self::Mixed(seed) => seed,
        }
    }
}
