//! `replix serve`: gives this machine's VMs to clients that cannot use the engine themselves.

use std::time::Duration;

use replix::{Error, Kind};
use replix_server::{End, Options, serve};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;

/// How long a service stays that was started on demand and that nobody uses.
const UNUSED: Duration = Duration::from_secs(10 * 60);

/// Serve this user's programs that cannot use the engine themselves, VixCOM above all
///
/// It listens on this machine alone, and answers to this user alone. It ends by Ctrl-C: jobs that run
/// have 10 seconds to end, and are cancelled then, or by a second Ctrl-C.
#[derive(clap::Args)]
pub(super) struct Args {
    /// End when nobody has used it for 10 minutes, and at once if one runs already
    #[arg(long)]
    on_demand: bool,
}

/// Serves until it is told to end.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let options = Options {
        unused: args.on_demand.then_some(UNUSED),
        ..Options::default()
    };
    let host = session.host().clone();
    let end = serve(host, &options, &mut |line| session.screen.confirm(line))?;
    match end {
        End::Another if !args.on_demand => {
            Err(Error::new(Kind::Busy, "a service of this user runs already").into())
        }
        end => Answer::new(json!({"served": end == End::Served})),
    }
}
