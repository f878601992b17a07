//! Speaking to a running QEMU: short conversations over its control socket.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use qapi::{Command, ExecuteError, Qmp, Stream, qmp};

use crate::error::{Error, Kind, Result, quoted};

/// QEMU answers at once unless it hangs.
const ANSWER: Duration = Duration::from_secs(10);

/// A conversation with a running QEMU.
pub(super) struct Control {
    qmp: Qmp<Stream<BufReader<UnixStream>, UnixStream>>,
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
        let mut reader = BufReader::new(stream.try_clone().map_err(failed)?);
        // The client takes a greeting for granted; a QEMU that just ended sends none.
        if reader.fill_buf().map_err(failed)?.is_empty() {
            return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let mut qmp = Qmp::new(Stream::new(reader, stream));
        qmp.handshake().map_err(|error| failed(error.into()))?;
        Ok(Self {
            qmp,
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
        let status = self.execute(&qmp::query_status {})?.status;
        Ok(matches!(
            status,
            qmp::RunState::paused | qmp::RunState::prelaunch
        ))
    }

    /// Tells whether a program of the guest has the port open whose other end is the chardev `label`.
    pub(super) fn is_open_in_guest(&mut self, label: &str) -> Result<bool> {
        let all = self.execute(&qmp::query_chardev {})?;
        Ok(all
            .iter()
            .any(|one| one.label == label && one.frontend_open))
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

    /// Stops the execution of the guest.
    pub(super) fn pause(&mut self) -> Result<()> {
        self.execute(&qmp::stop {}).map(drop)
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

    /// Ends the machine.
    pub(super) fn quit(&mut self) -> Result<()> {
        self.execute(&qmp::quit {}).map(drop)
    }
}
