//! Speaking to a running QEMU: short conversations over its control socket.
//!
//! Short, because QEMU speaks to one client at a time: whoever asks how a VM is waits for the end of
//! the conversation before.

use std::io::{BufRead, BufReader, BufWriter};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use qapi::{Command, Empty, ExecuteError, Qmp, Stream, qmp};
use serde::Serialize;
use serde_json::{Value, json};

use super::console::ScreenServer;
use crate::error::{Error, Kind, Result, quoted};

/// QEMU answers at once unless it hangs.
const ANSWER: Duration = Duration::from_secs(10);

/// What writes a guest's data to the host's disks takes as long as those take.
const WRITING: Duration = Duration::from_secs(600);

/// A block node as QEMU's documentation writes it.
#[derive(Serialize)]
#[serde(transparent)]
struct AddNode(Value);

impl Command for AddNode {
    type Ok = Empty;
    const NAME: &'static str = "blockdev-add";
    const ALLOW_OOB: bool = false;
}

/// Block nodes that get other options.
#[derive(Serialize)]
struct ReopenNodes {
    options: [Value; 1],
}

impl Command for ReopenNodes {
    type Ok = Empty;
    const NAME: &'static str = "blockdev-reopen";
    const ALLOW_OOB: bool = false;
}

/// A device as QEMU's documentation writes it.
#[derive(Serialize)]
#[serde(transparent)]
struct AddDevice(Value);

impl Command for AddDevice {
    type Ok = Empty;
    const NAME: &'static str = "device_add";
    const ALLOW_OOB: bool = false;
}

/// The addresses at which the screen is served.
#[derive(Serialize)]
struct ServeScreen {
    #[serde(rename = "type")]
    kind: &'static str,
    addresses: [Value; 1],
}

impl Command for ServeScreen {
    type Ok = Empty;
    const NAME: &'static str = "display-update";
    const ALLOW_OOB: bool = false;
}

/// A conversation with a running QEMU.
pub(super) struct Control {
    qmp: Qmp<Stream<BufReader<UnixStream>, BufWriter<UnixStream>>>,
    /// The same connection; for its time limits.
    stream: UnixStream,
    socket: std::path::PathBuf,
}

impl Control {
    /// Connects to the QEMU at `socket`.
    ///
    /// # Errors
    /// `FileNotFound` where nobody listens (yet); `Timeout`; what the system says.
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let failed = |error: std::io::Error| Error::io("connect to", socket, error);
        let stream = UnixStream::connect(socket).map_err(failed)?;
        stream.set_read_timeout(Some(ANSWER)).map_err(failed)?;
        stream.set_write_timeout(Some(ANSWER)).map_err(failed)?;
        let writer = BufWriter::new(stream.try_clone().map_err(failed)?);
        let mut reader = BufReader::new(stream.try_clone().map_err(failed)?);
        // The client takes a greeting for granted; a QEMU that just ended sends none.
        if reader.fill_buf().map_err(failed)?.is_empty() {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let mut qmp = Qmp::new(Stream::new(reader, writer));
        qmp.handshake().map_err(|error| failed(error.into()))?;
        Ok(Self {
            qmp,
            stream,
            socket: socket.to_path_buf(),
        })
    }

    fn execute<C: Command>(&mut self, command: &C) -> Result<C::Ok> {
        self.qmp.execute(command).map_err(|error| match error {
            ExecuteError::Io(error) => Error::io("speak to", &self.socket, error),
            ExecuteError::Qapi(error) => {
                let text = format!("QEMU at {} says: {error}", quoted(&self.socket));
                Error::new(Kind::Internal, text)
            }
        })
    }

    /// Tells whether the guest executes.
    pub(super) fn is_running(&mut self) -> Result<bool> {
        Ok(self.execute(&qmp::query_status {})?.running)
    }

    /// Tells whether somebody stopped the guest's execution, or did not let it begin.
    pub(super) fn is_paused(&mut self) -> Result<bool> {
        use qmp::RunState::{finish_migrate, inmigrate, paused, postmigrate, prelaunch};
        let status = self.execute(&qmp::query_status {})?.status;
        Ok(matches!(
            status,
            paused | prelaunch | inmigrate | finish_migrate | postmigrate
        ))
    }

    /// Tells whether the machine still waits for the memory that it is to go on with.
    pub(super) fn awaits_memory(&mut self) -> Result<bool> {
        Ok(self.execute(&qmp::query_status {})?.status == qmp::RunState::inmigrate)
    }

    /// Tells whether the machine stands still because its memory was saved: it cannot be saved again.
    pub(super) fn is_spent(&mut self) -> Result<bool> {
        Ok(self.execute(&qmp::query_status {})?.status == qmp::RunState::postmigrate)
    }

    /// Tells whether a program of the guest has the port open whose other end is the chardev `label`.
    pub(super) fn is_open_in_guest(&mut self, label: &str) -> Result<bool> {
        let all = self.execute(&qmp::query_chardev {})?;
        Ok(all
            .iter()
            .any(|one| one.label == label && one.frontend_open))
    }

    /// Returns the character devices: label, and what is at their end.
    pub(super) fn chardevs(&mut self) -> Result<Vec<(String, String)>> {
        let all = self.execute(&qmp::query_chardev {})?;
        let named = all.into_iter().map(|one| (one.label, one.filename));
        Ok(named.collect())
    }

    /// Writes what the screen shows to a file, as PNG.
    pub(super) fn dump_screen(&mut self, file: &Path) -> Result<()> {
        let command = qmp::screendump {
            device: None,
            format: Some(qmp::ImageFormat::png),
            head: None,
            filename: file.to_string_lossy().into_owned(),
        };
        self.execute(&command).map(drop)
    }

    /// Stops the execution of the guest, everything that it wrote being written.
    pub(super) fn pause(&mut self) -> Result<()> {
        self.with_limit(WRITING, |control| control.execute(&qmp::stop {}).map(drop))
    }

    /// Lets the guest execute.
    pub(super) fn resume(&mut self) -> Result<()> {
        self.execute(&qmp::cont {}).map(drop)
    }

    /// Presses the machine's reset button.
    pub(super) fn reset(&mut self) -> Result<()> {
        self.execute(&qmp::system_reset {}).map(drop)
    }

    /// Presses the guest's power button.
    pub(super) fn press_power(&mut self) -> Result<()> {
        self.execute(&qmp::system_powerdown {}).map(drop)
    }

    /// Plugs the cable of an adapter in, or pulls it.
    pub(super) fn set_link(&mut self, adapter: &str, up: bool) -> Result<()> {
        let name = adapter.into();
        self.execute(&qmp::set_link { name, up }).map(drop)
    }

    /// Takes the medium out of a drive, whether the guest lets go of it or not.
    pub(super) fn eject(&mut self, drive: &str) -> Result<()> {
        #[expect(deprecated, reason = "the old name of the drive is left out")]
        let command = qmp::eject {
            device: None,
            force: Some(true),
            id: Some(drive.into()),
        };
        self.execute(&command)?;
        // The image of the start stays open beside the drive; a later one went with it.
        let node_name = drive.into();
        let _ = self.execute(&qmp::blockdev_del { node_name });
        Ok(())
    }

    /// Puts an image into a drive, whatever is in it.
    pub(super) fn insert(&mut self, drive: &str, image: &Path) -> Result<()> {
        #[expect(deprecated, reason = "the old name of the drive is left out")]
        let command = qmp::blockdev_change_medium {
            device: None,
            force: Some(true),
            format: Some("raw".into()),
            id: Some(drive.into()),
            read_only_mode: Some(qmp::BlockdevChangeReadOnlyMode::read_only),
            filename: image.to_string_lossy().into_owned(),
        };
        self.execute(&command).map(drop)
    }

    /// Presses keys together, and lets go of them after `hold`.
    pub(super) fn press(&mut self, keys: &[qmp::QKeyCode], hold: Duration) -> Result<()> {
        let key = |data: &qmp::QKeyCode| qmp::KeyValue::qcode(qmp::QKeyCodeWrapper { data: *data });
        let command = qmp::send_key {
            hold_time: i64::try_from(hold.as_millis()).ok(),
            keys: keys.iter().map(key).collect(),
        };
        self.execute(&command).map(drop)
    }

    /// Sets what VNC clients are asked for.
    pub(super) fn set_screen_password(&mut self, password: &str) -> Result<()> {
        let (password, connected, display) = (password.into(), None, None);
        let base = qmp::SetPasswordOptionsBase {
            password,
            connected,
        };
        let vnc = qmp::SetPasswordOptionsVnc { display };
        let options = qmp::SetPasswordOptions::vnc { base, vnc };
        self.execute(&qmp::set_password(options)).map(drop)
    }

    /// Has the VNC server listen at an address and a port; 0 is one that is free.
    pub(super) fn serve_screen(&mut self, address: IpAddr, port: u16) -> Result<()> {
        let (host, port) = (address.to_string(), port.to_string());
        self.execute(&ServeScreen {
            kind: "vnc",
            addresses: [json!({ "type": "inet", "host": host, "port": port })],
        })
        .map(drop)
    }

    /// Tells where VNC clients see the screen, if they do.
    pub(super) fn screen_server(&mut self) -> Result<Option<ScreenServer>> {
        let info = self.execute(&qmp::query_vnc {})?;
        let server = || {
            Some(ScreenServer {
                address: info.host?.parse().ok()?,
                port: info.service?.parse().ok()?,
                protected: info.auth? != "none",
            })
        };
        Ok(server())
    }

    /// Ends the machine.
    pub(super) fn quit(&mut self) -> Result<()> {
        self.execute(&qmp::quit {}).map(drop)
    }

    /// Returns the names of the block nodes, with their sizes in bytes.
    pub(super) fn nodes(&mut self) -> Result<Vec<(String, u64)>> {
        let nodes = self.execute(&qmp::query_named_block_nodes { flat: Some(true) })?;
        let named = |node: qmp::BlockDeviceInfo| {
            let size = u64::try_from(node.image.base.virtual_size).unwrap_or_default();
            Some((node.node_name?, size))
        };
        Ok(nodes.into_iter().filter_map(named).collect())
    }

    /// Adds a block node.
    pub(super) fn add_node(&mut self, node: Value) -> Result<()> {
        self.execute(&AddNode(node)).map(drop)
    }

    /// Gives a block node other options.
    pub(super) fn reopen_node(&mut self, node: Value) -> Result<()> {
        let options = [node];
        self.with_limit(WRITING, |control| {
            control.execute(&ReopenNodes { options }).map(drop)
        })
    }

    /// Closes a block node and forgets it.
    pub(super) fn remove_node(&mut self, name: &str) -> Result<()> {
        let node_name = name.to_owned();
        self.with_limit(WRITING, |control| {
            control.execute(&qmp::blockdev_del { node_name }).map(drop)
        })
    }

    /// Plugs a device in.
    pub(super) fn add_device(&mut self, device: Value) -> Result<()> {
        self.execute(&AddDevice(device)).map(drop)
    }

    /// Asks the guest to let go of a device; it is gone once the guest has done so.
    pub(super) fn remove_device(&mut self, id: &str) -> Result<()> {
        self.execute(&qmp::device_del { id: id.into() }).map(drop)
    }

    /// Returns the names of the devices that have one.
    pub(super) fn devices(&mut self) -> Result<Vec<String>> {
        let path = "/machine/peripheral".into();
        let all = self.execute(&qmp::qom_list { path })?;
        Ok(all.into_iter().map(|one| one.name).collect())
    }

    /// Returns the release of QEMU, `10.0.2`.
    pub(super) fn release(&mut self) -> Result<String> {
        let version = self.execute(&qmp::query_version {})?.qemu;
        Ok(format!(
            "{}.{}.{}",
            version.major, version.minor, version.micro
        ))
    }

    /// Returns QEMU's name of the machine's type, `pc-i440fx-10.0`.
    pub(super) fn machine(&mut self) -> Result<String> {
        let answer = self.execute(&qmp::qom_get {
            path: "/machine".into(),
            property: "type".into(),
        })?;
        let name = answer.as_str().unwrap_or_default();
        Ok(name.trim_end_matches("-machine").to_owned())
    }

    /// Begins to write memory and devices to whoever listens at the socket `to`, as fast as they
    /// can be taken: all of the memory while QEMU still answers others.
    pub(super) fn begin_saving(&mut self, to: &Path) -> Result<()> {
        self.execute(&qmp::migrate_set_parameters(qmp::MigrateSetParameters {
            max_bandwidth: Some(i64::MAX as u64),
            downtime_limit: Some(0),
            ..Default::default()
        }))?;
        let uri = Some(format!("unix:{}", to.display()));
        let (channels, detach, resume) = (None, None, None);
        self.execute(&qmp::migrate {
            channels,
            detach,
            resume,
            uri,
        })
        .map(drop)
    }

    /// Has the machine listen at the socket `at` for the memory and devices that it goes on with.
    pub(super) fn begin_loading(&mut self, at: &Path) -> Result<()> {
        let uri = Some(format!("unix:{}", at.display()));
        let (channels, exit_on_error) = (None, None);
        self.execute(&qmp::migrate_incoming {
            channels,
            exit_on_error,
            uri,
        })
        .map(drop)
    }

    /// Gives up saving.
    pub(super) fn cancel_saving(&mut self) -> Result<()> {
        self.execute(&qmp::migrate_cancel {}).map(drop)
    }

    /// Tells how far saving or loading is, and what forbids it.
    pub(super) fn transfer(&mut self) -> Result<qmp::MigrationInfo> {
        self.execute(&qmp::query_migrate {})
    }

    /// Waits longer than usual for the answer.
    fn with_limit<T>(
        &mut self,
        limit: Duration,
        ask: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.set_limit(limit)?;
        let answer = ask(self);
        self.set_limit(ANSWER)?;
        answer
    }

    fn set_limit(&mut self, limit: Duration) -> Result<()> {
        self.stream
            .set_read_timeout(Some(limit))
            .map_err(|error| Error::io("speak to", &self.socket, error))
    }
}
