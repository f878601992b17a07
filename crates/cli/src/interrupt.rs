//! Ctrl-C and its kin: the first one asks the running job to stop, the second one kills.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code after a second Ctrl-C, as shells have it for one.
const KILLED: i32 = 130;

/// Whether somebody asked the program to stop.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Returns the flag that the signals of interruption raise from the first call on.
    ///
    /// Before, they kill as ever: only jobs have something to clean up. Signals that the program
    /// was started to ignore (`nohup`, a shell's background job) stay ignored.
    pub(crate) fn listen() -> Self {
        static LISTENING: OnceLock<Interrupt> = OnceLock::new();
        // Without the signals jobs still run; an interruption then kills.
        let register = || Self::register().unwrap_or_default();
        LISTENING.get_or_init(register).clone()
    }

    fn register() -> io::Result<Self> {
        let interrupt = Self::default();
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if ignored & (1 << (signal - 1)) == 0 {
                // The order matters: the second signal finds the flag raised by the first.
                flag::register_conditional_shutdown(signal, KILLED, Arc::clone(&interrupt.0))?;
                flag::register(signal, Arc::clone(&interrupt.0))?;
            }
        }
        Ok(interrupt)
    }

    /// Tells whether somebody asked the program to stop.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Asks the program to stop, as a signal does.
    #[cfg(test)]
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Returns the mask of the signals that this process ignores; bit 0 is signal 1.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_ignored(&status).unwrap_or(0)
}

fn parse_ignored(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use signal_hook::low_level::raise;

    use super::*;

    /// Set in the process that interrupts itself.
    const CHILD: &str = "REPLIX_TEST_INTERRUPT";

    #[test]
    fn first_signal_asks_and_second_kills() {
        if std::env::var_os(CHILD).is_some() {
            let interrupt = Interrupt::listen();
            assert!(!interrupt.requested());
            raise(SIGTERM).unwrap();
            assert!(interrupt.requested());
            raise(SIGINT).unwrap();
            unreachable!("the second signal kills");
        }
        let name = "interrupt::tests::first_signal_asks_and_second_kills";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(child.status.code(), Some(KILLED), "{child:?}");
    }

    #[test]
    fn ignored_mask_is_read() {
        assert_eq!(
            parse_ignored("Name:\tx\nSigIgn:\t0000000000001001\n"),
            Some(0x1001)
        );
        assert_eq!(parse_ignored("Name:\tx\n"), None);
    }
}
