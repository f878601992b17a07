//! A job's news as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::stream::{Stream, unfold};

use super::entry::Entry;

/// How long a connection may be silent.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// Returns a job's news, from now to its end. What a slow reader misses is left out: each event tells
/// the whole state.
pub(crate) fn events(entry: Arc<Entry>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver = entry.watch();
    let news = unfold(Some((entry, receiver)), |state| async move {
        let (entry, mut receiver) = state?;
        receiver.changed().await.ok()?;
        let end = receiver.borrow_and_update().clone();
        let is_last = end.is_some();
        let report = serde_json::to_string(&entry.report_with(end)).ok()?;
        let event = Event::default().event(if is_last { "ended" } else { "progress" });
        let rest = (!is_last).then_some((entry, receiver));
        Some((Ok(event.data(report)), rest))
    });
    Sse::new(news).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}
