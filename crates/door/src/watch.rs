use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use synod_client::{
    KvWatch, Watched,
    machine::{Change, Revision},
};
use tokio::sync::mpsc;

use crate::{
    answer::Answer, ask::Ask, fault::Fault, kv::Row, limits::EVENTS_READY_MAX, numbers, octets,
};

/// Where a reader was, as browsers send it when they come again by themselves.
const LAST_EVENT_ID: &str = "last-event-id";

/// Streams what changes. It ends when its reader goes, or takes nothing for too long.
pub(crate) async fn watch(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.octets("prefix").unwrap_or_default();
    let from = match ask.header(LAST_EVENT_ID)? {
        None => ask.query.number("from"),
        Some(text) => Some(
            numbers::read(text)
                .ok_or_else(|| Fault::bad(format!("{LAST_EVENT_ID}: {text:?} is no revision")))?,
        ),
    };
    let mut watch = ask.client.kv().watch(prefix);
    if let Some(from) = from {
        watch = watch.from(Revision::new(from));
    }
    // What makes no sense is told with a status, so before there is a stream.
    let first = match watch.next().await {
        Some(first) => event(first?),
        None => return Err(Fault::not_now("the door is closing")),
    };
    let (ready, events) = mpsc::channel(EVENTS_READY_MAX);
    tokio::spawn(tell(ask, watch, first, ready));
    Ok(Answer::events(events))
}

/// Waits for the reader before the next item is asked for: what it does not take stays in the
/// cluster's history, and here there is little of it.
async fn tell(ask: Ask, mut watch: KvWatch, first: Bytes, ready: mpsc::Sender<Bytes>) {
    let mut next = Some(first);
    while let Some(event) = next {
        if ready.send(event).await.is_err() {
            break;
        }
        next = tokio::select! {
            () = ready.closed() => None,
            item = watch.next() => match item {
                Some(Ok(item)) => Some(self::event(item)),
                Some(Err(error)) => {
                    tracing::debug!(%error, "a watch has ended");
                    None
                }
                None => None,
            },
        };
    }
    drop(ask);
}

#[derive(Serialize)]
struct Changed {
    revision: u64,
    changes: Vec<serde_json::Value>,
}

/// One item in the form of server-sent events (HTML, §9.2). An item that says how far everything
/// was told has that as its id.
fn event(item: Watched) -> Bytes {
    let (name, id, data) = match item {
        Watched::Changed { revision, changes } => {
            let changes = changes.iter().filter_map(change).collect();
            let changed = Changed { revision: revision.get(), changes };
            ("change", Some(revision), json!(changed))
        }
        Watched::CaughtUp(at) => ("caught-up", Some(at), json!({ "revision": at.get() })),
        Watched::Gap { forgotten } => {
            ("gap", Some(forgotten), json!({ "forgotten": forgotten.get() }))
        }
        Watched::Stale { silent } => {
            let ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
            ("stale", None, json!({ "silent_ms": ms }))
        }
    };
    let id = id.map(|id| format!("id: {}\n", id.get())).unwrap_or_default();
    // JSON has no line ends outside of its texts, and none in them.
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

fn change(change: &Change) -> Option<serde_json::Value> {
    match change {
        Change::Put { key, entry } => {
            let mut row = json!(Row::new(key, entry));
            row["type"] = "put".into();
            Some(row)
        }
        Change::Deleted { key } => {
            let (key, key_base64) = octets::both(key);
            Some(match key {
                Some(key) => json!({ "type": "delete", "key": key }),
                None => json!({ "type": "delete", "key_base64": key_base64 }),
            })
        }
        // A watch of keys tells of keys.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use synod_client::machine::Entry;

    use super::*;

    #[test]
    fn an_item_is_one_event_and_says_how_far_everything_was_told() {
        let (at, value) = (Revision::new(7), Bytes::from_static(b"a\nb"));
        let entry = Entry { value, create: at, modified: at, version: 1, lease: None };
        let changes = vec![
            Change::Put { key: "k".into(), entry },
            Change::Deleted { key: Bytes::from_static(b"\xff") },
        ];
        let text = event(Watched::Changed { revision: at, changes });
        let text = std::str::from_utf8(&text).unwrap();
        let data = r#"{"changes":[{"created":7,"key":"k","modified":7,"type":"put","#;
        let rest =
            r#""value":"a\nb","version":1},{"key_base64":"/w==","type":"delete"}],"revision":7}"#;
        assert_eq!(text, format!("event: change\nid: 7\ndata: {data}{rest}\n\n"));
        let text = event(Watched::Gap { forgotten: at });
        assert_eq!(text, "event: gap\nid: 7\ndata: {\"forgotten\":7}\n\n");
        let text = event(Watched::Stale { silent: std::time::Duration::from_secs(3) });
        assert_eq!(text, "event: stale\ndata: {\"silent_ms\":3000}\n\n");
    }
}
