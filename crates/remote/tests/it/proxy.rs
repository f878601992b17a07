//! A bad network: connections to the service that can be cut at any moment.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use replix_remote::wire::ServiceFile;

/// What stands between clients and the service.
pub struct Proxy {
    file: PathBuf,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    open: Mutex<Vec<TcpStream>>,
    /// How many answers are still to be swallowed.
    to_swallow: AtomicUsize,
}

impl Proxy {
    /// Stands before the service whose file is `service`.
    pub fn before(service: &Path) -> Self {
        let mut told: ServiceFile = serde_json::from_slice(&fs::read(service).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::<State>::default();
        let (port, shared) = (told.port, Arc::clone(&state));
        told.port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // The service may be gone; so is the client then.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    shared.join(client, server);
                }
            }
        });
        let file = service.with_file_name("proxy.json");
        fs::write(&file, serde_json::to_vec(&told).unwrap()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Self { file, state }
    }

    /// The file that leads to the proxy.
    pub fn file(&self) -> PathBuf {
        self.file.clone()
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets the next request to start a job through, and cuts the connection before its answer.
    pub fn swallow_one_answer(&self) {
        self.state.to_swallow.store(1, Ordering::SeqCst);
    }

    /// Tells whether that has happened.
    pub fn has_swallowed(&self) -> bool {
        self.state.to_swallow.load(Ordering::SeqCst) == 0
    }
}

impl State {
    fn join(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        self.open.lock().unwrap().extend(ends);
        let (to_server, to_client) = (Arc::clone(self), Arc::clone(self));
        let starts = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&starts);
        let (client_in, server_in) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            pass(client_in, server, |bytes| {
                let is_start = bytes.starts_with(b"PUT /v1/jobs/");
                starts.fetch_add(usize::from(is_start), Ordering::SeqCst);
                true
            });
            drop(to_server);
        });
        std::thread::spawn(move || {
            pass(server_in, client, |_| {
                let answers_a_start = seen.swap(0, Ordering::SeqCst) > 0;
                !answers_a_start || to_client.to_swallow.swap(0, Ordering::SeqCst) == 0
            });
        });
    }
}

/// Passes on what comes, until one end closes or `may_pass` says no; closes both then.
fn pass(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !may_pass(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
