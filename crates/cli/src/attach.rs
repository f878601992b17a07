//! A socket attached to this program's input and output, as a terminal or as pipes.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::interrupt::Interrupt;

/// Ctrl-]: leaves the console, on a terminal.
const ESCAPE: u8 = 0x1d;

/// How often a signal and the time limit are looked at, in milliseconds.
const PULSE: u16 = 100;

/// Why an attachment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The other end hung up: the VM is off.
    Off,
    /// The user left, the time is up, or nobody reads the output any more.
    Left,
}

/// A terminal that passes every key on, until this is dropped.
struct Raw<'a> {
    terminal: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> Raw<'a> {
    /// Returns `None` for what is no terminal.
    fn of(terminal: BorrowedFd<'a>) -> Option<Self> {
        let before = tcgetattr(terminal).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(terminal, SetArg::TCSADRAIN, &raw).ok()?;
        Some(Self { terminal, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // There is nobody to tell who could do anything about it.
        let _ = tcsetattr(self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

/// Copies between `socket` and this program's input and output, at most for `limit`. `greet` is called
/// before a terminal is taken over.
///
/// # Errors
/// What the system says.
pub(crate) fn attach(
    socket: UnixStream,
    limit: Option<Duration>,
    greet: impl FnOnce(),
) -> io::Result<Ended> {
    // Their own descriptors: what the program holds of both is locked, and buffered.
    let input = File::from(stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(stdout().as_fd().try_clone_to_owned()?);
    let interrupt = Interrupt::listen();
    let is_terminal = tcgetattr(&input).is_ok();
    if is_terminal {
        greet();
    }
    let _raw = Raw::of(input.as_fd());
    socket.set_nonblocking(true)?;
    let mut copy = Copy {
        socket,
        input: Some(&input),
        output,
        is_terminal,
        pending: Vec::new(),
    };
    let deadline = limit.map(|limit| Instant::now() + limit);
    while !interrupt.requested() && deadline.is_none_or(|end| Instant::now() < end) {
        if let Some(ended) = copy.step()? {
            return Ok(ended);
        }
    }
    Ok(Ended::Left)
}

/// The two directions of a console.
struct Copy<'a> {
    socket: UnixStream,
    /// `None` once it has ended.
    input: Option<&'a File>,
    output: File,
    is_terminal: bool,
    /// What was read and the guest has not taken yet; no more is read before it has.
    pending: Vec<u8>,
}

impl Copy<'_> {
    /// Waits for either side, and copies what there is.
    fn step(&mut self) -> io::Result<Option<Ended>> {
        let (can_read, has_input) = self.wait()?;
        if !self.pending.is_empty() {
            self.pass_on()?;
        }
        if can_read && let Some(ended) = self.show()? {
            return Ok(Some(ended));
        }
        match has_input {
            true => self.take(),
            false => Ok(None),
        }
    }

    /// Tells whether the guest has said something, and whether there is input.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let mut events = PollFlags::POLLIN;
        events.set(PollFlags::POLLOUT, !self.pending.is_empty());
        let mut ends = vec![PollFd::new(self.socket.as_fd(), events)];
        let input = self.input.filter(|_| self.pending.is_empty());
        ends.extend(input.map(|input| PollFd::new(input.as_fd(), PollFlags::POLLIN)));
        match poll(&mut ends, PollTimeout::from(PULSE)) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |end: &PollFd| {
            let ready = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
            end.revents().is_some_and(|events| events.intersects(ready))
        };
        Ok((
            ends.first().is_some_and(is_ready),
            ends.get(1).is_some_and(is_ready),
        ))
    }

    /// Shows what the guest says.
    fn show(&mut self) -> io::Result<Option<Ended>> {
        let mut buffer = [0; 4096];
        let length = match self.socket.read(&mut buffer) {
            Ok(0) => return Ok(Some(Ended::Off)),
            Ok(length) => length,
            Err(error) if is_passing(&error) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Ok(Some(Ended::Off));
            }
            Err(error) => return Err(error),
        };
        match self.output.write_all(&buffer[..length]) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Some(Ended::Left)),
            written => written.map(|()| None),
        }
    }

    /// Takes input for the guest.
    fn take(&mut self) -> io::Result<Option<Ended>> {
        let Some(mut input) = self.input else {
            return Ok(None);
        };
        let mut buffer = [0; 4096];
        let length = match input.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_passing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let typed = &buffer[..length];
        if typed.is_empty() {
            self.input = None;
        }
        let escape = typed.iter().position(|byte| *byte == ESCAPE);
        let escape = escape.filter(|_| self.is_terminal);
        self.pending
            .extend_from_slice(&typed[..escape.unwrap_or(length)]);
        self.pass_on()?;
        Ok(escape.map(|_| Ended::Left))
    }

    fn pass_on(&mut self) -> io::Result<()> {
        match self.socket.write(&self.pending) {
            Ok(length) => {
                self.pending.drain(..length);
                Ok(())
            }
            // That the other end is gone shows when it is read.
            Err(error) if is_passing(&error) || error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
