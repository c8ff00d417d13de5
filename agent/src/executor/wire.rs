//! What agent and executor say to each other: one JSON value a line, over a local socket.
//!
//! The agent brings what the server offers, unchanged, and takes back what is for the server. It is not trusted: all that
//! makes an order true is in the order itself.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use siaga_protocol::orders::{AgentUndo, OrderResult, SignedOrder};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

/// Longest line, in bytes.
const MAX_LINE: u64 = 256 * 1024;
/// Lines that wait to be taken.
const WAITING: usize = 16;

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToExecutor {
    /// The server offers an order, in a question begun at this time.
    Offer {
        /// The order as it came.
        order: SignedOrder,
        /// Milliseconds since the epoch.
        asked_at_ms: i64,
    },
    /// The server has this result, or never will.
    Delivered {
        /// The order's.
        order_id: String,
    },
    /// The server has heard of this undo, or never will.
    Reported {
        /// The undo's.
        id: String,
    },
}

/// From the executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromExecutor {
    /// To an offer.
    Answer(Answer),
    /// For the server. The next one comes when this is delivered.
    Result(OrderResult),
    /// For the server. The next one comes when this is reported.
    Undone(AgentUndo),
    /// Whether a broken file of the memory of orders lies aside.
    MemoryBroken(bool),
}

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It is new, and being carried out.
    New,
    /// It is being carried out already, or its result is on the way, or there is no room for it now.
    Known,
    /// It is not carried out.
    Refused {
        /// What the order says of itself, if anything.
        order_id: Option<String>,
        /// Why.
        reason: String,
    },
}

/// The values that come from a socket, until it ends or says what cannot be understood.
pub(crate) fn read<T: DeserializeOwned + Send + 'static>(
    from: impl AsyncRead + Unpin + Send + 'static,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = (&mut from).take(MAX_LINE);
            let read = tokio::select! {
                read = bounded.read_until(b'\n', &mut line) => read,
                () = sender.closed() => return,
            };
            if !matches!(read, Ok(1..)) {
                return;
            }
            let value = match serde_json::from_slice(&line) {
                Ok(value) => value,
                Err(error) => {
                    tracing::error!(%error, "what came over the executor's socket cannot be understood");
                    return;
                }
            };
            if sender.send(value).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Says one value.
///
/// # Errors
/// The other side is gone.
pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn values_arrive_as_they_were_said() {
        let (mut one, other) = tokio::net::UnixStream::pair().unwrap();
        let mut values = read::<ToExecutor>(other);
        let order = SignedOrder { payload: "{\n}".into(), signature: "s".into() };
        let said = [
            ToExecutor::Offer { order, asked_at_ms: 1 },
            ToExecutor::Delivered { order_id: "o".into() },
            ToExecutor::Reported { id: "u".into() },
        ];
        for value in &said {
            write(&mut one, value).await.unwrap();
        }
        for value in said {
            assert_eq!(values.recv().await, Some(value));
        }
        drop(one);
        assert_eq!(values.recv().await, None);
    }

    #[tokio::test]
    async fn what_cannot_be_understood_or_does_not_end_ends_the_conversation() {
        for said in [b"{\"offer\":1}\n".to_vec(), vec![b'x'; 300 * 1024]] {
            let (mut one, other) = tokio::net::UnixStream::pair().unwrap();
            let mut values = read::<ToExecutor>(other);
            // It may hang up before all is written.
            let _ = one.write_all(&said).await;
            assert_eq!(values.recv().await, None);
        }
    }
}
