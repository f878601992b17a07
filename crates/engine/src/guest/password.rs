//! Passwords, checked against the hashes of a guest's account database.
//!
//! The hash comes from the guest and says itself how dear the check is: what no distribution asks for
//! is refused before a byte is hashed.
//!
//! Source: crypt(5) for the forms and their lengths.

use sha_crypt::PasswordVerifier;
use sha_crypt::ShaCrypt;
use yescrypt::{Params, Yescrypt};

/// No password is longer.
const LONGEST: usize = 4096;

/// A rounds figure of SHA-crypt that takes about a second; the default is 5,000.
const MOST_ROUNDS: u32 = 2_000_000;

/// Memory that yescrypt may take, half of what reading anything of a guest's may; the default takes 16 MiB.
const MOST_MEMORY: u64 = 128 << 20;

/// A cost of bcrypt that takes about a second; the default is 5 to 12.
const MOST_COST: u32 = 14;

/// Tells whether `password` is the one that `hash` was made of: yescrypt, SHA-512, SHA-256 or bcrypt.
/// A locked or empty hash, another scheme, or one that is too dear fits no password.
pub(super) fn fits(password: &str, hash: &str) -> bool {
    if password.is_empty() || password.len() > LONGEST || password.contains('\0') {
        return false;
    }
    let Some(fields) = hash.strip_prefix('$') else {
        return false;
    };
    let fields: Vec<&str> = fields.split('$').collect();
    let bytes = password.as_bytes();
    // The digest's length is checked here: one that is cut short proves nothing.
    match fields[..] {
        ["y", params, _, digest] if digest.len() == 43 => {
            is_affordable(params) && Yescrypt::default().verify_password(bytes, hash).is_ok()
        }
        ["6", .., digest] if digest.len() == 86 => sha_fits(bytes, hash, &fields),
        ["5", .., digest] if digest.len() == 43 => sha_fits(bytes, hash, &fields),
        ["2a" | "2b" | "2y", cost, digest] if digest.len() == 53 => {
            cost.parse().is_ok_and(|cost: u32| cost <= MOST_COST)
                && bcrypt::verify(bytes, hash).unwrap_or(false)
        }
        _ => false,
    }
}

fn sha_fits(password: &[u8], hash: &str, fields: &[&str]) -> bool {
    let affordable = match fields {
        [_, _salt, _] => true,
        [_, rounds, _salt, _] => rounds
            .strip_prefix("rounds=")
            .and_then(|rounds| rounds.parse::<u32>().ok())
            .is_some_and(|rounds| rounds <= MOST_ROUNDS),
        _ => false,
    };
    affordable && ShaCrypt::SHA512.verify_password(password, hash).is_ok()
}

/// Three characters are all that a distribution writes: flavour, N and r; more would be parallelism
/// and time.
fn is_affordable(params: &str) -> bool {
    let memory = |params: Params| {
        128_u64
            .checked_mul(params.r().into())?
            .checked_mul(params.n())
    };
    let parsed = params.parse().ok().filter(|_| params.len() == 3);
    parsed
        .and_then(memory)
        .is_some_and(|bytes| bytes <= MOST_MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by libxcrypt; each password is the name and "-secret".
    const HASHES: [(&str, &str); 4] = [
        (
            "alice",
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$EBlx3Sm2OFEuXaUjii17g39GoXtNOaxyxnoNz6.m0Y6",
        ),
        (
            "bob",
            "$6$rounds=1000$bobsaltbobsalt$AAx0AirKWXBO8S6G6O/gilU1IMLvl1NdA7jbuyH9Fh2y2Nl.BZiY1Sf0X4\
             .fz449a8KV90rAwUzjlQE/MWHVX1",
        ),
        (
            "carol",
            "$5$carolsaltcarol$WGnnDlZ9Nuq9pkSeInqe39eRx36.J0vRHM07Nk7R./1",
        ),
        (
            "dave",
            "$2b$05$abcdefghijklmnopqrstuuDiDoRPMjq./yLr5z.auDRO7E8CTMf76",
        ),
    ];

    #[test]
    fn right_password_fits_and_others_do_not() {
        for (name, hash) in HASHES {
            assert!(fits(&format!("{name}-secret"), hash), "{name}");
            for wrong in [
                "",
                "secret",
                &format!("{name}-secret "),
                &format!("{name}-secre\0t"),
            ] {
                assert!(!fits(wrong, hash), "{name}: {wrong}");
            }
        }
    }

    #[test]
    fn damaged_and_locked_hashes_fit_nothing() {
        for (name, hash) in HASHES {
            let password = format!("{name}-secret");
            let (head, digest) = hash.rsplit_once('$').unwrap();
            let damaged = [
                format!("!{hash}"),
                format!("*{hash}"),
                format!("{head}$"),
                format!("{head}${}", &digest[..4]),
                format!("{hash}$"),
                head.to_string(),
            ];
            for hash in damaged {
                assert!(!fits(&password, &hash), "{hash}");
            }
        }
        for hash in [
            "",
            "!",
            "*",
            "x",
            "$",
            "$$$",
            "$1$salt$Hash",
            "abJnggxhB/yWI",
        ] {
            assert!(!fits("a", hash), "{hash}");
        }
    }

    #[test]
    fn hash_that_costs_too_much_is_refused_at_once() {
        let start = std::time::Instant::now();
        let digest = "A".repeat(86);
        for hash in [
            format!("$6$rounds=999999999$salt${digest}"),
            format!("$5$rounds=999999999$salt${}", &digest[..43]),
            format!("$y$jzT$F5Jx5fExrKuPp53xLKQ..1${}", &digest[..43]),
            format!("$y$j9zzz$F5Jx5fExrKuPp53xLKQ..1${}", &digest[..43]),
            format!("$2b$31${}", &digest[..53]),
        ] {
            assert!(!fits("a", &hash), "{hash}");
        }
        assert!(start.elapsed().as_secs() < 2);
    }
}
