//! How processes with one fault each are run.

use bytes::Bytes;
use futures::future::pending;
use futures::{FutureExt, StreamExt};
use rdd_core::*;
use tokio::sync::mpsc;

use crate::mutant_engine::{MutantEngine, error, instead};
use crate::mutation::Mutation::*;

impl MutantEngine {
    pub(crate) async fn start_process(
        &self,
        container: &ContainerRef,
        options: &ExecOptions,
    ) -> Result<ExecSession, EngineError> {
        let mut wanted = options.clone();
        match self.mutation {
            ReturnsBothSourcesAlways if !options.tty => {
                (wanted.stdout, wanted.stderr) = (true, true)
            }
            DropsTheEnvironment => wanted.env.clear(),
            FailsWhenACommandCannotRun if options.command == ["no-such-program"] => {
                return Err(error(ErrorCode::NotFound));
            }
            _ => {}
        }
        let session = self.inner.exec(container, &wanted).await;
        let mut session = match self.mutation {
            ExecsInUnknownContainersWithInternal => {
                instead(session, &ErrorCode::NotFound, ErrorCode::Internal)
            }
            ExecsInStoppedContainersWithInternal => {
                instead(session, &ErrorCode::Conflict, ErrorCode::Internal)
            }
            _ => session,
        }?;
        let mutation = self.mutation;
        session.exit = session
            .exit
            .then(move |exit| async move {
                match (mutation, exit) {
                    (ChangesExitCodes, Ok(7)) => Ok(1),
                    (ReturnsSignalsAsTheyAre, Ok(code)) if code > 128 && code < 160 => {
                        Ok(code - 128)
                    }
                    (NeverResolvesTheExit, Err(_)) => pending().await,
                    (_, exit) => exit,
                }
            })
            .boxed();
        match self.mutation {
            WritesErrorsToStdout => {
                session.output = session
                    .output
                    .map(|chunk| {
                        let mut chunk = chunk?;
                        if chunk.bytes == "to stderr\n" {
                            chunk.source = OutputSource::Stdout;
                        }
                        Ok(chunk)
                    })
                    .boxed();
            }
            KeepsTheInputOpen if options.stdin => {
                let (sender, mut receiver) = mpsc::channel::<Bytes>(4);
                let stdin = std::mem::replace(&mut session.stdin, sender);
                tokio::spawn(async move {
                    while let Some(bytes) = receiver.recv().await {
                        stdin.send(bytes).await.ok();
                    }
                    // Until the process has ended.
                    stdin.closed().await;
                });
            }
            ResizesOnce => {
                let (sender, mut receiver) = tokio::sync::watch::channel(None);
                let resizes = std::mem::replace(&mut session.resizes, sender);
                tokio::spawn(async move {
                    if receiver.changed().await.is_ok() {
                        let size = *receiver.borrow_and_update();
                        resizes.send(size).ok();
                    }
                    resizes.closed().await;
                });
            }
            _ => {}
        }
        Ok(session)
    }
}
