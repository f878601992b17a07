//! Programs of the guest: run, listed, ended.

use std::time::Instant;

use super::files::absolute;
use super::session::Session;
use super::{GuestAnswer, GuestProcess, account};
use crate::error::{Error, Kind, Result, quoted};

/// Fails where the first argument is no program that this user may run.
const PROGRAM: &str = r#"
need "$1"
[ ! -d "$1" ] || fail 'Is a directory'
[ -x "$1" ] || fail 'Permission denied'
"#;

/// Keeps the script in a file of its own, as long as its interpreter runs.
const SCRIPT: &str = r#"
file=$(umask 077 && mktemp) || exit 126
cat >"$file" || exit 126
"$1" "$file" </dev/null
status=$?
rm -f -- "$file"
exit "$status"
"#;

/// Prints for each process but its own a line each: number, name, owner, debugger, the figures of its `stat`
/// after the name, the command. Kernels escape line breaks in `status`; in the rest we do.
const LIST: &str = r#"
IFS= read -r boot <<END
$(grep '^btime ' /proc/stat)
END
echo "${boot#btime }"
getconf CLK_TCK 2>/dev/null || echo 100
for process in /proc/[0-9]*; do
	[ "$process" != "/proc/$$" ] || continue
	name= uid= tracer= last=
	while IFS= read -r line; do
		case $line in
		Name:?*) name=${line#Name:?} ;;
		Uid:?*) uid=${line#Uid:?} ;;
		TracerPid:?*) tracer=${line#TracerPid:?} ;;
		esac
	done <"$process/status"
	while IFS= read -r line; do last=$line; done <"$process/stat"
	[ -n "$last" ] || continue
	printf '%s\n' "${process#/proc/}" "$name" "$uid" "$tracer" "${last##*) }"
	tr '\0\n' '  ' <"$process/cmdline"
	echo
done 2>/dev/null
exit 0
"#;

/// Asks the process to end, and ends it where it has not a moment later.
const KILL: &str = r#"
kill -TERM "$1" || exit 1
tries=0
while [ "$tries" -lt 20 ]; do
	kill -0 "$1" 2>/dev/null || exit 0
	tries=$((tries + 1))
	sleep 0.1
done
kill -KILL "$1" 2>/dev/null
exit 0
"#;

/// Runs a program. Its arguments are one text, which the guest's shell takes apart, as it does for
/// VMware.
///
/// # Errors
/// `FileNotFound`, `NotAFile`, `Denied`; those of [`Session::script`].
pub(super) fn run(
    session: &Session,
    program: &str,
    arguments: &str,
    return_immediately: bool,
) -> Result<GuestAnswer> {
    session.script(PROGRAM, &[absolute(program)?])?;
    let script = format!("exec \"$1\" {arguments}");
    start(session, &script, program, None, return_immediately)
}

/// Runs a script by an interpreter, the guest's shell where none is named.
///
/// # Errors
/// As [`run`].
pub(super) fn run_script(
    session: &Session,
    interpreter: Option<&str>,
    text: &str,
    return_immediately: bool,
) -> Result<GuestAnswer> {
    let interpreter = interpreter.unwrap_or("/bin/sh");
    session.script(PROGRAM, &[absolute(interpreter)?])?;
    let text = Some(text.as_bytes().to_vec());
    start(session, SCRIPT, interpreter, text, return_immediately)
}

fn start(
    session: &Session,
    script: &str,
    program: &str,
    input: Option<Vec<u8>>,
    return_immediately: bool,
) -> Result<GuestAnswer> {
    let started = Instant::now();
    let env = session.environment()?;
    let pid = session.begin(script, &[program], env, input, false)?;
    let (mut seconds, mut exit_code) = (0, 0);
    if !return_immediately {
        exit_code = session.end(pid, None)?.code;
        seconds = i32::try_from(started.elapsed().as_secs()).unwrap_or(i32::MAX);
    }
    Ok(GuestAnswer::Process {
        pid,
        seconds,
        exit_code,
    })
}

/// Lists the processes that this user may see.
///
/// # Errors
/// Those of [`Session::script`]; `Io` for a list that makes no sense.
pub(super) fn list(session: &Session) -> Result<Vec<GuestProcess>> {
    let out = session.script(LIST, &[])?;
    let text = String::from_utf8_lossy(&out);
    parse(&text, &session.passwd).ok_or_else(|| {
        let vmx = session.agent.vmx();
        let text = format!(
            "the guest of {} lists its processes in no known form",
            quoted(vmx)
        );
        Error::new(Kind::Io, text).at(vmx)
    })
}

/// Ends a process.
///
/// # Errors
/// `NoSuchProcess`, `Denied`; `Argument` for a number that stands for more than one process.
pub(super) fn kill(session: &Session, pid: u64) -> Result<()> {
    if pid == 0 {
        return Err(Error::new(Kind::Argument, "no process has the number 0"));
    }
    session.script(KILL, &[&pid.to_string()]).map(drop)
}

/// Reads what the script prints.
pub(super) fn parse(text: &str, passwd: &str) -> Option<Vec<GuestProcess>> {
    let mut lines = text.lines();
    let boot_s: i64 = lines.next()?.trim().parse().ok()?;
    let ticks: i64 = lines
        .next()?
        .trim()
        .parse()
        .ok()
        .filter(|ticks| *ticks > 0)?;
    let names = account::Names::read(passwd);
    let mut processes = Vec::new();
    while let Some(pid) = lines.next() {
        let [name, uid, tracer, figures, command] = [(); 5].map(|()| lines.next());
        let uid = uid?.split_whitespace().next()?;
        let (name, command) = (name?, command?.trim_end());
        // Field 22 of the whole line; the state, field 3, is the first here.
        let start: i64 = figures?.split(' ').nth(22 - 3)?.parse().ok()?;
        processes.push(GuestProcess {
            pid: pid.parse().ok()?,
            name: name.to_string(),
            owner: names.of(uid).to_string(),
            // A process of the kernel has no command: VMware's agent tells its name then, too.
            command: if command.is_empty() { name } else { command }.to_string(),
            debugged: tracer?.trim() != "0",
            started_s: boot_s.saturating_add(start / ticks),
        });
    }
    Some(processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_processes_is_read() {
        let stat = (3..30)
            .map(|n| (n * 10).to_string())
            .collect::<Vec<_>>()
            .join(" ");
        let text = format!(
            "1700000000\n100\n1\ninit\n0\t0\t0\t0\n0\n{stat}\n/sbin/init splash  \n\
             7\na b\n1000\t0\t0\t0\n1\n{stat}\n\n"
        );
        let found = parse(&text, "root:x:0:0:::\nalice:x:1000:1000:::\n").unwrap();
        assert_eq!((found[0].pid, found[0].owner.as_str()), (1, "root"));
        assert_eq!(found[0].command, "/sbin/init splash");
        assert_eq!(found[0].started_s, 1_700_000_002);
        assert_eq!((found[1].name.as_str(), found[1].debugged), ("a b", true));
        assert_eq!(
            (found[1].owner.as_str(), found[1].command.as_str()),
            ("alice", "a b")
        );
    }

    #[test]
    fn nonsense_is_no_list() {
        for text in [
            "",
            "1",
            "1\n0\n",
            "1\n100\n1\ninit\n",
            "1\n100\nx\na\n0\n0\n1 2\nb\n",
        ] {
            assert_eq!(parse(text, ""), None, "{text}");
        }
    }
}
