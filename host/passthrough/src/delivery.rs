//! What the operating system knows of bytes that it was given to send.

use std::time::Duration;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How far the bytes of a connection have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Bytes wait here, or are on their way: the peer's system has not
    /// acknowledged all of them.
    pub(crate) pending: bool,
    /// Bytes that the peer's system has acknowledged since the connection began.
    pub(crate) acknowledged: u64,
    /// Since the peer's system last answered. While its buffers are full it is
    /// asked now and then whether they still are, and this is how long ago it
    /// last answered that.
    pub(crate) since_answer: Duration,
}

/// A connection that may know how far its bytes have come.
pub(crate) trait Transport {
    /// `None` where the platform does not tell.
    fn delivery(&self) -> Option<Delivery> {
        None
    }

    /// Has the system give bytes up that the peer's system did not take in
    /// this time, and ask a peer whose buffers are full at least that often.
    fn set_user_timeout(&self, _timeout: Duration) {}
}

impl Transport for TcpStream {
    fn delivery(&self) -> Option<Delivery> {
        #[cfg(target_os = "linux")]
        return linux::delivery(self);
        #[cfg(not(target_os = "linux"))]
        return None;
    }

    fn set_user_timeout(&self, _timeout: Duration) {
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(self).set_tcp_user_timeout(Some(_timeout)) {
            tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
        }
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn delivery(&self) -> Option<Delivery> {
        self.get_ref().0.delivery()
    }

    fn set_user_timeout(&self, timeout: Duration) {
        self.get_ref().0.set_user_timeout(timeout);
    }
}

impl<T: Transport> Transport for TokioIo<T> {
    fn delivery(&self) -> Option<Delivery> {
        self.inner().delivery()
    }

    fn set_user_timeout(&self, timeout: Duration) {
        self.inner().set_user_timeout(timeout);
    }
}

/// A connection of a kind that is not known here.
impl Transport for Upgraded {}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::{offset_of, size_of};
    use std::os::fd::AsRawFd as _;
    use std::time::Duration;

    use tokio::net::TcpStream;

    use super::Delivery;

    /// Written here since neither tokio, socket2 nor rustix reads `TCP_INFO`,
    /// and the crates that do generate bindings from the build machine's C
    /// headers.
    pub(super) fn delivery(socket: &TcpStream) -> Option<Delivery> {
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
        // Kernels before 4.6 know less and write less.
        let needed = offset_of!(libc::tcp_info, tcpi_notsent_bytes) + size_of::<u32>();
        if result != 0 || usize::try_from(len).ok()? < needed {
            return None;
        }
        Some(Delivery {
            pending: info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0,
            acknowledged: info.tcpi_bytes_acked,
            since_answer: Duration::from_millis(info.tcpi_last_ack_recv.into()),
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn bytes_are_pending_until_the_peers_system_took_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        assert!(!server.delivery().unwrap().pending, "nothing was written");

        let mut written = 0;
        server.writable().await.unwrap();
        while let Ok(count) = server.try_write(&[b'x'; 64 * 1024]) {
            written += count;
        }
        let delivery = server.delivery().unwrap();
        assert!(delivery.pending, "{delivery:?}");
        assert!(delivery.acknowledged < written as u64, "{delivery:?}");
        assert!(delivery.since_answer < Duration::from_secs(60));

        let mut read = vec![0; written];
        client.read_exact(&mut read).await.unwrap();
        rdd_testkit::eventually("every byte is acknowledged", || async {
            match server.delivery() {
                Some(Delivery { pending: false, .. }) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}
