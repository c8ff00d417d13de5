//! Sends orders to agents and waits for their answers.

use std::time::Duration;

use siaga_protocol::orders::{Order, OrderError, OrderResult, SignedOrder, sign};
use tokio::time::Instant;

use crate::app::App;
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, orders};
use crate::time::{Millis, SECOND_MS, now_ms};

/// Orders that one poll hands out.
const MAX_ORDERS_A_POLL: u32 = 16;

/// How far an agent's clock may be from the server's for its times to be taken. Orders expire within minutes, so that a
/// host whose clock is further ahead carries out none.
const MAX_SKEW_MS: Millis = 24 * 3_600 * SECOND_MS;

/// Whether an agent can have carried out something at these times of its own clock that was ordered at `ordered_ms`.
#[must_use]
pub fn times_can_be(started_ms: Millis, ended_ms: Millis, ordered_ms: Millis, now_ms: Millis) -> bool {
    started_ms <= ended_ms
        && started_ms >= ordered_ms.saturating_sub(MAX_SKEW_MS)
        && ended_ms <= now_ms.saturating_add(MAX_SKEW_MS)
}

/// Why an order is not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It cannot be signed.
    #[error("cannot sign the order")]
    Sign(#[source] OrderError),
    /// It cannot be recorded.
    #[error("cannot record the order")]
    Records(#[from] RecordsError),
}

/// Signs and records an order and wakes the agent that waits for it.
///
/// # Errors
/// If it cannot be signed or recorded; the agent does not see it then.
pub async fn send(app: &App, order: Order) -> Result<(), SendError> {
    let signed = sign(&order, &app.order_key).map_err(SendError::Sign)?;
    app.records.run(move |db| orders::insert(db, &order, &signed, now_ms())).await?;
    app.order_news.send_modify(|count| *count += 1);
    Ok(())
}

/// Signs and records an order within the caller's transaction; [`announce`] wakes the agent after it.
///
/// # Errors
/// If it cannot be signed or recorded.
pub fn put_down(app: &App, db: &Connection, order: &Order, now_ms: Millis) -> Result<(), SendError> {
    let signed = sign(order, &app.order_key).map_err(SendError::Sign)?;
    Ok(orders::insert(db, order, &signed, now_ms)?)
}

/// Wakes the agents that wait for orders.
pub fn announce(app: &App) {
    app.order_news.send_modify(|count| *count += 1);
}

/// Waits for the answer to an order, until `deadline`.
///
/// # Errors
/// If the records cannot be read.
pub async fn answer(
    app: &App,
    order_id: &str,
    deadline: Instant,
) -> Result<Option<OrderResult>, RecordsError> {
    let mut news = app.answer_news.subscribe();
    loop {
        let id = order_id.to_owned();
        let found = app.records.run(move |db| orders::result(db, &id)).await?;
        if found.is_some() {
            return Ok(found);
        }
        if tokio::time::timeout_at(deadline, news.changed()).await.is_err() {
            return Ok(None);
        }
    }
}

/// Orders for a host: at once if there are any, else as soon as there are, or none after `wait`. None for a host that was
/// copied: both would carry them out.
pub(super) async fn poll(app: &App, host_id: &str, wait: Duration) -> Result<Vec<SignedOrder>, RecordsError> {
    let deadline = Instant::now() + wait;
    let mut news = app.order_news.subscribe();
    loop {
        let id = host_id.to_owned();
        let open =
            app.records.run(move |db| orders::open_for_host(db, &id, now_ms(), MAX_ORDERS_A_POLL)).await?;
        let open = if app.presence.twins_since_ms(host_id, now_ms()).is_some() { Vec::new() } else { open };
        if !open.is_empty()
            || app.is_stopping()
            || tokio::time::timeout_at(deadline, news.changed()).await.is_err()
        {
            return Ok(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_be_are_told_from_those_of_a_wrong_clock() {
        let (ordered, now) = (50 * MAX_SKEW_MS, 51 * MAX_SKEW_MS);
        for (started, ended, can_be) in [
            (ordered, now, true),
            (ordered - MAX_SKEW_MS, ordered - MAX_SKEW_MS, true),
            (now + MAX_SKEW_MS, now + MAX_SKEW_MS, true),
            (ordered - MAX_SKEW_MS - 1, now, false),
            (now, now + MAX_SKEW_MS + 1, false),
            (now, now - 1, false),
            (i64::MIN, i64::MAX, false),
        ] {
            assert_eq!(times_can_be(started, ended, ordered, now), can_be, "{started} {ended}");
        }
    }
}
