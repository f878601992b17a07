//! Work in the name of an account of the guest.
//!
//! Everything runs through `setpriv`, with the account's number, groups and environment. What we run
//! ourselves are fixed scripts for the guest's POSIX shell; names reach them as arguments, never as
//! part of a script.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qapi::qga;

use super::account::Account;
use super::{Login, refusal};
use crate::error::{Error, Kind, Result, quoted};
use crate::power::Channel;

/// No account database is larger.
const DATABASE_LIMIT: usize = 4 << 20;

/// How much of a file is asked for at once.
const PART: i64 = 256 << 10;

/// A script of ours that has not ended by then hangs.
const SCRIPT_TIME: Duration = Duration::from_secs(300);

/// What every script of ours begins with.
const PRELUDE: &str = r#"
fail() { echo "$1" >&2; exit 1; }
need() { stat -- "$1" >/dev/null || exit 1; }
stands() { [ -e "$1" ] || [ -L "$1" ]; }
is_folder() { [ -d "$1" ] && [ ! -L "$1" ]; }
"#;

/// An account of the guest, for one operation.
pub(super) struct Session<'a> {
    /// The way to the agent.
    pub(super) agent: &'a Channel<'a>,
    /// In whose name.
    pub(super) account: Account,
    /// The guest's accounts.
    pub(super) passwd: String,
}

/// How a program ended.
pub(super) struct Ended {
    /// What it ended with; 128 and its number for one that was ended by a signal.
    pub(super) code: i32,
    /// What it printed.
    pub(super) out: Vec<u8>,
    /// What it said of failures.
    pub(super) err: Vec<u8>,
    cut: bool,
}

impl<'a> Session<'a> {
    /// Opens an account of the guest.
    ///
    /// # Errors
    /// `GuestLogin` where the login opens none, whatever the reason; `GuestSession` where it demands
    /// a user at the console; `NotSupported` for guests without accounts as we know them.
    pub(super) fn open(agent: &'a Channel<'a>, login: Option<&Login>) -> Result<Self> {
        let login = login.ok_or_else(|| denied(agent))?;
        let passwd = read_database(agent, "/etc/passwd")?;
        let shadow = read_database(agent, "/etc/shadow")?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let today = i64::try_from(now.as_secs() / 86_400).unwrap_or(i64::MAX);
        let account = Account::open(&passwd, &shadow, login, today).ok_or_else(|| denied(agent))?;
        if login.interactive {
            require_at_console(agent, &account)?;
        }
        Ok(Self {
            agent,
            account,
            passwd,
        })
    }

    /// Runs a script of ours and returns what it printed.
    ///
    /// # Errors
    /// What the guest's system says, as far as it is known; `Timeout`.
    pub(super) fn script(&self, script: &str, args: &[&str]) -> Result<Vec<u8>> {
        self.script_fed(script, args, Vec::new())
    }

    /// As [`Session::script`], with something to read for the script.
    ///
    /// # Errors
    /// As [`Session::script`].
    pub(super) fn script_fed(
        &self,
        script: &str,
        args: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let text = [PRELUDE, script].concat();
        let mut env = self.account.environment();
        env.push("LC_ALL=C".into());
        let pid = self.begin(&text, args, env, Some(input), true)?;
        let ended = self.end(pid, Some(SCRIPT_TIME))?;
        if ended.code != 0 {
            return Err(refusal::of(
                self.agent.vmx(),
                args.first().copied(),
                &ended.err,
            ));
        }
        if ended.cut {
            let text = format!(
                "the guest of {} says more than it may",
                quoted(self.agent.vmx())
            );
            return Err(Error::new(Kind::Io, text).at(self.agent.vmx()));
        }
        Ok(ended.out)
    }

    /// Starts a script and returns the number of its process.
    ///
    /// # Errors
    /// `Argument` for what no program can be told; those of [`Channel::ask`].
    pub(super) fn begin(
        &self,
        script: &str,
        args: &[&str],
        env: Vec<String>,
        input: Option<Vec<u8>>,
        capture: bool,
    ) -> Result<i64> {
        let who = [
            format!("--reuid={}", self.account.uid),
            format!("--regid={}", self.account.gid),
        ];
        let how = [
            "--init-groups",
            "--inh-caps=-all",
            "--",
            "/bin/sh",
            "-c",
            script,
            "sh",
        ];
        let words = how.iter().chain(args).map(|word| word.to_string());
        let arg: Vec<String> = who.into_iter().chain(words).collect();
        if arg.iter().chain(&env).any(|word| word.contains('\0')) {
            return Err(Error::new(
                Kind::Argument,
                "a text for the guest has a NUL in it",
            ));
        }
        let command = qga::guest_exec {
            path: "setpriv".into(),
            arg: Some(arg),
            env: Some(env),
            input_data: input,
            capture_output: Some(qga::GuestExecCaptureOutput::flag(capture)),
        };
        let started = self
            .agent
            .ask(&command)
            .map_err(|error| match error.kind() {
                Kind::Io => error.hint("the guest needs setpriv, of the package util-linux"),
                _ => error,
            })?;
        Ok(started.pid)
    }

    /// Waits for the end of a process that was started here.
    ///
    /// # Errors
    /// `Timeout`, `Cancelled`; those of [`Channel::ask`].
    pub(super) fn end(&self, pid: i64, limit: Option<Duration>) -> Result<Ended> {
        self.agent.await_exit(pid, limit).map(Ended::of)
    }
}

impl Ended {
    /// Takes it from what the agent says.
    pub(super) fn of(status: qga::GuestExecStatus) -> Self {
        let code = status
            .exitcode
            .or(status.signal.map(|signal| signal.saturating_add(128)));
        Self {
            code: code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
            out: status.out_data.unwrap_or_default(),
            err: status.err_data.unwrap_or_default(),
            cut: status.out_truncated.unwrap_or_default(),
        }
    }
}

/// One answer for every reason: who asks learns nothing about the guest's accounts.
fn denied(agent: &Channel) -> Error {
    let text = format!(
        "the guest of {} does not let this user in",
        quoted(agent.vmx())
    );
    let hint = "user and password must be those of an account of the guest that may log in: not locked, \
        not expired, with a password (yescrypt, SHA-crypt or bcrypt) and a shell";
    Error::new(Kind::GuestLogin, text)
        .at(agent.vmx())
        .hint(hint)
}

fn require_at_console(agent: &Channel, account: &Account) -> Result<()> {
    let users = agent.ask(&qga::guest_get_users {})?;
    if users.iter().any(|user| user.user == account.name) {
        return Ok(());
    }
    let text = format!(
        "this user is not logged in at the console of {}",
        quoted(agent.vmx())
    );
    Err(Error::new(Kind::GuestSession, text).at(agent.vmx()))
}

/// Reads a file of accounts, in the name of the agent.
fn read_database(agent: &Channel, path: &str) -> Result<String> {
    let open = qga::guest_file_open {
        path: path.into(),
        mode: Some("r".into()),
    };
    let handle = agent.ask(&open).map_err(|error| explain_os(agent, error))?;
    let read = read_open(agent, handle);
    let closed = agent.ask(&qga::guest_file_close { handle });
    let bytes = read.and_then(|bytes| closed.map(|_| bytes))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_open(agent: &Channel, handle: i64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let part = agent.ask(&qga::guest_file_read {
            handle,
            count: Some(PART),
        })?;
        bytes.extend_from_slice(&part.buf_b64);
        if bytes.len() > DATABASE_LIMIT {
            let text = format!(
                "the accounts of the guest of {} do not end",
                quoted(agent.vmx())
            );
            return Err(Error::new(Kind::Io, text).at(agent.vmx()));
        }
        if part.eof || part.buf_b64.is_empty() {
            return Ok(bytes);
        }
    }
}

/// A guest without `/etc/passwd` is of a system whose accounts we cannot check.
fn explain_os(agent: &Channel, error: Error) -> Error {
    let os = agent
        .ask(&qga::guest_get_osinfo {})
        .ok()
        .and_then(|os| os.id);
    if os.as_deref() != Some("mswindows") {
        return error;
    }
    let text = format!(
        "{} runs Windows, whose accounts cannot be checked from outside",
        quoted(agent.vmx())
    );
    let hint =
        "address, shutdown and reboot work there; files and programs in a user's name do not";
    Error::new(Kind::NotSupported, text)
        .at(agent.vmx())
        .hint(hint)
}
