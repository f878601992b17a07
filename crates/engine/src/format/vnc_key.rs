//! `RemoteDisplay.vnc.key`: how a `.vmx` keeps the password of its VNC server.
//!
//! It is the key schedule of DES for the password, cut or filled up with zeros to 8 bytes, as the
//! `d3des` of VNC makes it: 32 words of 32 bits, little-endian, in base64. Each bit of a schedule is
//! a bit of the key, so that the password can be read out of it; VNC's order of bits drops the
//! highest one of each byte, which ASCII does not use.
//!
//! Source: VMware's "Compute hashed password for use with RemoteDisplay.vnc.key" (DOC-7535); the
//! tables of DES are those of FIPS 46-3.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The length of a password.
const KEY: usize = 8;

/// Words of a schedule, two for each round.
const WORDS: usize = 32;

/// Permuted choice 1: which bit of the key, counted from 0, comes where.
const CHOICE_1: [u8; 56] = [
    56, 48, 40, 32, 24, 16, 8, 0, 57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59,
    51, 43, 35, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 60, 52, 44, 36, 28,
    20, 12, 4, 27, 19, 11, 3,
];

/// Permuted choice 2, likewise.
const CHOICE_2: [u8; 48] = [
    13, 16, 10, 23, 0, 4, 2, 27, 14, 5, 20, 9, 22, 18, 11, 3, 25, 7, 15, 6, 26, 19, 12, 1, 40, 51,
    30, 36, 46, 54, 29, 39, 50, 44, 32, 47, 43, 48, 38, 55, 33, 52, 45, 41, 49, 35, 28, 31,
];

/// By how much the halves are rotated in each round, summed up.
const ROTATIONS: [usize; WORDS / 2] = [1, 2, 4, 6, 8, 10, 12, 14, 15, 17, 19, 21, 23, 25, 27, 28];

/// Half of what the first choice leaves.
const HALF: usize = 28;

/// Returns the password that `text` is made of; `None` for what is no such key.
pub fn password(text: &str) -> Option<String> {
    let bytes: [u8; 4 * WORDS] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes(bytes.try_into().ok()?);
    }
    let mut key = [0_u8; KEY];
    for bit in 0..8 * KEY {
        let mut one = [0; KEY];
        one[bit / 8] = 1 << (bit % 8);
        let marks = schedule(one);
        let is_set = words
            .iter()
            .zip(marks)
            .all(|(word, mark)| word & mark == mark);
        // The bits that DES drops leave no mark.
        if is_set && marks != [0; WORDS] {
            key[bit / 8] |= one[bit / 8];
        }
    }
    if schedule(key) != words {
        return None;
    }
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(KEY);
    String::from_utf8(key[..end].to_vec()).ok()
}

/// Makes the schedule of a key.
fn schedule(key: [u8; KEY]) -> [u32; WORDS] {
    let bit = |at: u8| key[usize::from(at / 8)] >> (at % 8) & 1;
    let chosen = CHOICE_1.map(bit);
    let mut words = [0; WORDS];
    for (rotation, pair) in ROTATIONS.iter().zip(words.chunks_exact_mut(2)) {
        let rotated = |at: u8| {
            let (half, place) = (usize::from(at) / HALF, usize::from(at) % HALF);
            chosen[half * HALF + (place + rotation) % HALF]
        };
        let (left, right) = CHOICE_2.split_at(CHOICE_2.len() / 2);
        let pack = |half: &[u8]| {
            half.iter()
                .fold(0, |word: u32, at| word << 1 | u32::from(rotated(*at)))
        };
        pair.copy_from_slice(&cooked(pack(left), pack(right)));
    }
    words
}

/// Puts two times 24 bits of a round where `d3des` wants them, six to a byte.
fn cooked(left: u32, right: u32) -> [u32; 2] {
    let sextet = |word: u32, place: u32| word >> (18 - 6 * place) & 0x3f;
    let join = |first: u32, second: u32| {
        sextet(left, first) << 24
            | sextet(left, second) << 16
            | sextet(right, first) << 8
            | sextet(right, second)
    };
    [join(0, 2), join(1, 3)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(password: &str) -> String {
        let mut key = [0; KEY];
        key[..password.len()].copy_from_slice(password.as_bytes());
        STANDARD.encode(schedule(key).map(u32::to_le_bytes).concat())
    }

    #[test]
    fn password_is_read_out_of_its_key() {
        for text in ["", "a", "secret", "8letters", "\u{1}~ \"\\"] {
            assert_eq!(password(&key(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn key_made_by_d3des_is_read() {
        // What vncpasswd-like scripts write for "squish".
        let written = concat!(
            "GjoGCRk6EC4aLAQhOzsFJTwPLQInMQEwJwcCAjYmKRcnGRckFR4IEBM4KhQbOgEEHDskBA85BBsfBxMALiUHAj",
            "UXGBImBxQCIxswETwOKAkzOAEwGx8iKhgrOCo7OQIMPScMGCY1CgMvBxEINAwRCTM0IREVHhIUKzgNAR0bOAQ=",
        );
        assert_eq!(key("squish"), written);
        assert_eq!(password(written).as_deref(), Some("squish"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut other = STANDARD.decode(key("secret")).unwrap();
        other[5] ^= 1;
        for text in ["", "secret", "AAAA", &STANDARD.encode(other)] {
            assert_eq!(password(text), None, "{text}");
        }
    }
}
