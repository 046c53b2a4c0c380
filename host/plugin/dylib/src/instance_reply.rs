//! Waiting for what the thread of an instance sends once.

use std::future::Future;

use tokio::sync::oneshot;

/// Waits for the reply of an instance, or until the instance has ended, which `ended`
/// says. Returns `None` if it has ended without a reply.
///
/// An instance may reply and end between the polls of the two, so what it has sent is
/// looked for once more after its end.
pub(crate) async fn receive_reply<T>(
    mut reply: oneshot::Receiver<T>,
    ended: impl Future,
) -> Option<T> {
    tokio::select! {
        biased;
        reply = &mut reply => reply.ok(),
        _ = ended => reply.try_recv().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_reply_that_is_sent_just_before_the_end_is_received() {
        let (sender, reply) = oneshot::channel();
        // Polled after the reply was not there.
        let ended = async move { sender.send(7) };
        assert_eq!(receive_reply(reply, ended).await, Some(7));
    }

    #[tokio::test]
    async fn an_end_without_a_reply_is_none() {
        let (sender, reply) = oneshot::channel::<u8>();
        assert_eq!(receive_reply(reply, async {}).await, None);
        drop(sender);

        let (sender, reply) = oneshot::channel::<u8>();
        drop(sender);
        assert_eq!(receive_reply(reply, pending::<()>()).await, None);
    }
}
