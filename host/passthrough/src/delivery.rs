//! The delivery state of written bytes, as reported by the operating system.

use std::time::Duration;

use futures::FutureExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::limits;

/// The delivery state of the bytes written to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveryState {
    /// Whether bytes are queued or in flight: the peer's system has not
    /// acknowledged all of them.
    pub(crate) is_pending: bool,
    /// Whether the peer's receive buffer has no room for a segment. Then its system
    /// has nothing to acknowledge but probes, which are rare.
    pub(crate) is_window_closed: bool,
    /// The time since the last acknowledgment by the peer's system.
    pub(crate) since_last_ack: Duration,
}

impl DeliveryState {
    /// Returns how long the peer's system may take for an acknowledgment.
    pub(crate) fn ack_timeout(&self) -> Duration {
        match self.is_window_closed {
            true => limits::STALLED_PEER_TIMEOUT,
            false => limits::PEER_TIMEOUT,
        }
    }
}

/// A connection that may report the delivery state of written bytes.
pub(crate) trait DeliveryTracker {
    /// Returns the delivery state, or `None` if the platform does not report it.
    fn delivery(&self) -> Option<DeliveryState> {
        None
    }

    /// Returns whether the peer has shut down its side of the connection, or reset
    /// it, although bytes may be unread. False if the platform does not report it.
    fn is_read_closed(&self) -> bool {
        false
    }
}

impl DeliveryTracker for TcpStream {
    fn delivery(&self) -> Option<DeliveryState> {
        #[cfg(target_os = "linux")]
        return linux::delivery(self);
        #[cfg(not(target_os = "linux"))]
        return None;
    }

    fn is_read_closed(&self) -> bool {
        // Ready at once if there is anything to read, also the end.
        let ready = self.ready(Interest::READABLE).now_or_never();
        matches!(ready, Some(Ok(ready)) if ready.is_read_closed())
    }
}

impl<T: DeliveryTracker> DeliveryTracker for TlsStream<T> {
    fn delivery(&self) -> Option<DeliveryState> {
        self.get_ref().0.delivery()
    }

    fn is_read_closed(&self) -> bool {
        self.get_ref().0.is_read_closed()
    }
}

impl<T: DeliveryTracker> DeliveryTracker for Box<T> {
    fn delivery(&self) -> Option<DeliveryState> {
        (**self).delivery()
    }

    fn is_read_closed(&self) -> bool {
        (**self).is_read_closed()
    }
}

impl<T: DeliveryTracker> DeliveryTracker for TokioIo<T> {
    fn delivery(&self) -> Option<DeliveryState> {
        self.inner().delivery()
    }

    fn is_read_closed(&self) -> bool {
        self.inner().is_read_closed()
    }
}

/// A connection of an unknown type.
impl DeliveryTracker for Upgraded {}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::{offset_of, size_of};
    use std::os::fd::AsRawFd as _;
    use std::time::Duration;

    use tokio::net::TcpStream;

    use super::DeliveryState;

    /// Reads `TCP_INFO`. Written by hand: tokio, socket2, and rustix do not
    /// support it, and the crates that do generate bindings from the C headers
    /// of the build machine.
    pub(super) fn delivery(socket: &TcpStream) -> Option<DeliveryState> {
        let mut len = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
        #[expect(unsafe_code, reason = "there is no safe interface to TCP_INFO")]
        // SAFETY: the descriptor is open as long as `socket` is borrowed; the
        // kernel writes at most `len` bytes, the size of `info`, which
        // consists of integers and for which any bytes are a valid value.
        let (result, info) = unsafe {
            let mut info: libc::tcp_info = std::mem::zeroed();
            let result = libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                std::ptr::from_mut(&mut info).cast(),
                &raw mut len,
            );
            (result, info)
        };
        // Kernels before 5.4 write fewer fields.
        let needed = offset_of!(libc::tcp_info, tcpi_snd_wnd) + size_of::<u32>();
        if result != 0 || usize::try_from(len).ok()? < needed {
            return None;
        }
        Some(DeliveryState {
            is_pending: info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0,
            is_window_closed: info.tcpi_snd_wnd < info.tcpi_snd_mss,
            since_last_ack: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_end_of_the_peers_side_is_reported_behind_unread_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(!server.is_read_closed(), "nothing was sent");
        client.write_all(b"unread").await.unwrap();
        server.readable().await.unwrap();
        assert!(!server.is_read_closed(), "only bytes were sent");
        client.shutdown().await.unwrap();
        rdd_testkit::eventually("the end is reported", || async {
            match server.is_read_closed() {
                true => Ok(()),
                false => Err("not yet".to_owned()),
            }
        })
        .await;
    }

    #[tokio::test]
    async fn bytes_are_pending_until_the_peers_system_acknowledges_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(
            !server.delivery().unwrap().is_pending,
            "nothing was written"
        );

        let written = AtomicUsize::new(0);
        rdd_testkit::eventually("the peer's receive buffer is full", || async {
            while let Ok(count) = server.try_write(&[b'x'; 64 * 1024]) {
                written.fetch_add(count, Ordering::Relaxed);
            }
            let delivery = server.delivery().unwrap();
            assert!(delivery.is_pending, "{delivery:?}");
            match delivery.is_window_closed {
                true => Ok(()),
                false => Err(format!("{delivery:?}")),
            }
        })
        .await;
        assert!(server.delivery().unwrap().since_last_ack < limits::PEER_TIMEOUT);

        let mut read = vec![0; written.into_inner()];
        client.read_exact(&mut read).await.unwrap();
        rdd_testkit::eventually("every byte is acknowledged", || async {
            match server.delivery() {
                Some(DeliveryState {
                    is_pending: false,
                    is_window_closed: false,
                    ..
                }) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}
