//! `replix network`: the virtual networks of this machine.

use std::path::Path;

use replix::Error;
use replix::network::{Network, SetupSpec, Subnet, bring_up, networks, remove, setup, tell_leases};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::text::columns;

/// Make, remove or list the networks that VMs share with this host
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make vmnet8 (nat) and vmnet1 (hostonly), for all users; run again, it repairs them. Root only
    Setup {
        /// The addresses of the NAT network; otherwise a free 192.168.N.0/24
        #[arg(long, value_name = "SUBNET")]
        nat: Option<Subnet>,
        /// The addresses of the host-only network
        #[arg(long, value_name = "SUBNET")]
        hostonly: Option<Subnet>,
    },
    /// Take back all that setup did. Root only
    Remove,
    /// List the networks that are set up
    List,
    /// Make again what a reboot took; called at boot
    #[command(hide = true)]
    Up,
    /// Tell other programs the leases of a network; called by its DHCP server
    #[command(hide = true)]
    Leases {
        /// The network
        name: String,
    },
}

/// Does what the command says.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    match &args.command {
        Command::Setup { nat, hostonly } => {
            let program = std::env::current_exe();
            let spec = SetupSpec {
                nat: *nat,
                hostonly: *hostonly,
                program: program.map_err(|e| Error::io("find", Path::new("replix"), e))?,
            };
            let made = session.run(move |_, job| setup(&spec, job))?;
            show(&made, session)
        }
        Command::Remove => {
            session.run(|_, _| remove())?;
            session.screen.confirm("the networks are removed");
            Answer::new(json!({"networks": []}))
        }
        Command::List => {
            let networks = networks()?;
            if networks.is_empty() {
                session.screen.confirm("no networks are set up here");
            }
            show(&networks, session)
        }
        Command::Up => {
            bring_up()?;
            Answer::new(json!({}))
        }
        Command::Leases { name } => {
            tell_leases(name)?;
            Answer::new(json!({}))
        }
    }
}

fn show(networks: &[Network], session: &mut Session) -> Result<Answer, Failure> {
    let row = |network: &Network| {
        vec![
            network.name().to_string(),
            network.kind.as_str().to_string(),
            network.subnet.to_string(),
        ]
    };
    session
        .screen
        .show(&columns(0, &networks.iter().map(row).collect::<Vec<_>>()));
    let json = |network: &Network| json!({"name": network.name(), "kind": network.kind.as_str(), "subnet": network.subnet});
    Answer::new(json!({"networks": networks.iter().map(json).collect::<Vec<_>>()}))
}
