//! The host service: what the engine does, over HTTP on this machine, for clients of the same user
//! that cannot use the engine themselves. docs/service.md is its contract.
//!
//! - `place`: the file by which clients find it
//! - `listen`: connections
//! - `routes`: the guard and the routes; `request` what is asked, `answer` what is said
//! - `service`: what requests are answered from
//! - `jobs`: what takes long; `memory` gives back what they used
//! - `journal`: what is cleared after a crash
//! - `stop`: the end
//!
//! To serve other machines, another `listen` and another guard come before the same routes.

mod answer;
mod jobs;
mod journal;
mod listen;
mod memory;
mod place;
mod request;
mod routes;
mod service;
mod stop;

use std::fs::File;
use std::net::Ipv4Addr;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{dup2_stderr, dup2_stdout};
use replix::vm::Settings;
use replix::{Error, Host, Kind, Result};
use replix_remote::place::service_file;
use replix_remote::wire::ServiceFile;
use tokio::net::TcpListener;

use crate::jobs::Jobs;
use crate::journal::Journal;
use crate::listen::Connections;
use crate::place::Place;
use crate::service::Service;
use crate::stop::Signals;

/// The most questions that are answered at a time; more wait.
const MOST_QUESTIONS: usize = 64;

/// How often old jobs are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// How long connections may take to end once no job runs any more.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The most files that the service holds open, where the system lets it.
const MOST_FILES: u64 = 1 << 16;

/// How a service is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long it stays though nobody uses it; `None` is for ever.
    pub unused: Option<Duration>,
    /// How long running jobs may go on once it is asked to end.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unused: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to, or nobody used it.
    Served,
    /// It never began: one runs already.
    Another,
}

/// Gives `host` to the clients of this user until a signal asks to end; `tell` is told what a person
/// may want to know, the secret not.
///
/// # Errors
/// `Denied` where the service's folder is not this user's alone; what the system says.
pub fn serve(host: Host, options: &Options, tell: &mut dyn FnMut(&str)) -> Result<End> {
    let Some(place) = Place::take(service_file()?)? else {
        return Ok(End::Another);
    };
    if options.unused.is_some() {
        let_go_of_output().map_err(|error| internal("let go of the output", &error))?;
    }
    raise_file_limit();
    memory::share_heap();
    let journal = Journal::open(place.journal())?;
    // Before any client finds the service: what it sees then is whole.
    journal.clear(&Settings::load()?, tell)?;
    let jobs = Jobs::new(host.clone(), journal);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(MOST_QUESTIONS)
        .enable_all()
        .build()
        .map_err(|error| internal("start", &error))?;
    let served = runtime.block_on(run(host, jobs, options, &place, tell));
    place.withdraw();
    // A question that still waits for a lock is nobody's any more.
    runtime.shutdown_background();
    served.map(|()| End::Served)
}

/// Lets go of the output of whoever started this process on demand, and whose reader waits for its end:
/// a program of the host that is started within Wine has standard error from there, whatever is asked for.
fn let_go_of_output() -> std::io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    Ok(())
}

async fn run(
    host: Host,
    jobs: Jobs,
    options: &Options,
    place: &Place,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    let mut signals = Signals::listen().map_err(|error| internal("hear signals", &error))?;
    let failed = |error| internal("listen", &error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let file = ServiceFile {
        port,
        secret: hex(&rand::random::<[u8; 32]>()),
        instance: hex(&rand::random::<[u8; 16]>()),
        pid: std::process::id(),
    };
    let service = Service::new(host, jobs, file.secret.clone(), file.instance.clone());
    let router = routes::routes(service.clone());
    let connections = Connections::new();
    place.publish(&file)?;
    tell(&format!("listens on 127.0.0.1:{port}"));
    tokio::select! {
        () = connections.accept(listener, &router) => {}
        () = sweep(&service) => {}
        () = unused(&service, options.unused) => {}
        () = signals.next() => {}
    }
    place.withdraw();
    let running = service.jobs().close();
    stop::finish(&running, options.grace, &mut signals).await;
    connections.end(LAST_ANSWERS).await;
    Ok(())
}

async fn sweep(service: &Service) {
    loop {
        tokio::time::sleep(SWEEP).await;
        service.jobs().expire();
    }
}

async fn unused(service: &Service, limit: Option<Duration>) {
    match limit {
        Some(limit) => service.unused(limit).await,
        None => std::future::pending().await,
    }
}

/// Lets the service open as many files as hundreds of jobs need.
fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = soft.max(hard.min(MOST_FILES));
        // Without it fewer jobs run at a time: the others say why.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

fn internal(doing: &str, error: &std::io::Error) -> Error {
    Error::new(
        Kind::Internal,
        format!("the service cannot {doing}: {error}"),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
