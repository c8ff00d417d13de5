//! Bounds connections, in all and of one address, before anything is read from them.
//!
//! Invariant: a connection is counted from its acceptance until its stream is dropped. Loopback has no bound of its
//! own, for a proxy in front of the server speaks for all.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// Lets connections in up to its bounds.
#[derive(Debug, Clone)]
pub(super) struct Door {
    counts: Arc<Mutex<Counts>>,
    max: usize,
    max_per_address: usize,
}

impl Door {
    pub(super) fn new(max: usize, max_per_address: usize) -> Self {
        Self { counts: Arc::default(), max, max_per_address }
    }

    /// A place for a connection of this address, if there is one left.
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = counts.of.get(&address).copied().unwrap_or(0);
        if counts.all >= self.max || (of_address >= self.max_per_address && !address.is_loopback()) {
            return None;
        }
        counts.all += 1;
        counts.of.insert(address, of_address + 1);
        Some(Place { door: self.clone(), address })
    }
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
struct Place {
    door: Door,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.door.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all = counts.all.saturating_sub(1);
        if let Some(of_address) = counts.of.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.of.remove(&self.address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Counted;
    type Service = S;
    type Future = Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(stream.peer_addr().and_then(|peer| {
            let place = self.enter(peer.ip().to_canonical());
            let place = place.ok_or_else(|| io::Error::other("too many connections"))?;
            stream.set_nodelay(true)?;
            Ok((Counted { stream, _place: place }, service))
        }))
    }
}

/// A stream that is counted.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    _place: Place,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_free_again() {
        let door = Door::new(5, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = door.enter(address("192.0.2.1")).unwrap();
        let _second = door.enter(address("192.0.2.1")).unwrap();
        assert!(door.enter(address("192.0.2.1")).is_none());
        let _local: Vec<Place> = (0..3).map(|_| door.enter(address("127.0.0.1")).unwrap()).collect();
        assert!(door.enter(address("127.0.0.1")).is_none(), "all places are taken");
        drop(first);
        assert!(door.enter(address("192.0.2.1")).is_some());
        assert_eq!(door.counts.lock().unwrap().of.len(), 2);
    }
}
