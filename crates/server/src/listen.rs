//! Connections: how many, how long one may take to ask, and how all of them end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The most connections at a time; one more is closed at once.
const MOST_CONNECTIONS: u32 = 512;

/// How long the head of a request may take to arrive, on a new connection or an idle one.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// No head of a request is larger: a path of the longest length, escaped, has 12 KiB.
const MOST_HEAD: usize = 64 << 10;

/// How long there is no accepting after the system refused to.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that are answered until they are told to end.
pub(crate) struct Connections {
    slots: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Connections {
    /// Returns no connections.
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(MOST_CONNECTIONS as usize)),
            stop: watch::Sender::new(false),
        }
    }

    /// Accepts and answers connections, until it is dropped; those that are there go on then.
    pub(crate) async fn accept(&self, listener: TcpListener, router: &Router) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, say: some come back as connections end.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                let answered = answer(stream, router.clone(), self.stop.subscribe(), slot);
                tokio::spawn(answered);
            }
        }
    }

    /// Lets each connection end after the answer that it waits for; returns once all have, or after
    /// `limit`.
    pub(crate) async fn end(&self, limit: Duration) {
        self.stop.send_replace(true);
        let all = self.slots.acquire_many(MOST_CONNECTIONS);
        let _ = tokio::time::timeout(limit, all).await;
    }
}

async fn answer(
    stream: TcpStream,
    router: Router,
    mut stop: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
) {
    // Events are small and are not to wait for each other.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    // How a connection ended is its client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
