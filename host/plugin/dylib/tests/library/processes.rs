//! Processes.

use futures::{StreamExt as _, TryStreamExt as _};
use rdd_core::{ContainerEngine as _, ErrorCode, ExecOptions, LogStream, TerminalSize};
use rdd_plugin_contract::BackendInstance as _;

use crate::support::{container, eventually, finish, launched, limits};

fn options(program: &str) -> ExecOptions {
    ExecOptions {
        command: vec![program.to_owned()],
        stdin: true,
        ..ExecOptions::default()
    }
}

async fn text(output: LogStream) -> String {
    let chunks: Vec<_> = output.try_collect().await.unwrap();
    let bytes: Vec<u8> = chunks
        .iter()
        .flat_map(|chunk| chunk.bytes.to_vec())
        .collect();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn input_becomes_output_and_its_end_ends_the_process() {
    /// More than the buffers of the process and of the channels.
    const MESSAGES: usize = 1_000;
    let (backend, handle) = launched(limits()).await;
    let session = handle
        .exec(&container("web"), &options("echo"))
        .await
        .unwrap();
    let stdin = session.stdin;
    let writing = tokio::spawn(async move {
        for _ in 0..MESSAGES {
            stdin
                .send("0123456789abcdef".repeat(10).into())
                .await
                .unwrap();
        }
    });
    let output = text(session.output).await;
    writing.await.unwrap();
    assert_eq!(output, "0123456789ABCDEF".repeat(10 * MESSAGES));
    assert_eq!(session.exit.await.unwrap(), 0);
    finish(backend, handle).await;
}

#[tokio::test]
async fn sizes_reach_the_process() {
    let (backend, handle) = launched(limits()).await;
    let options = ExecOptions {
        tty: true,
        stderr: false,
        ..options("size")
    };
    let mut session = handle.exec(&container("web"), &options).await.unwrap();
    for (columns, rows) in [(80, 24), (120, 50)] {
        let size = TerminalSize { columns, rows };
        session.resizes.send(Some(size)).unwrap();
        let chunk = session.output.next().await.unwrap().unwrap();
        assert_eq!(chunk.bytes, format!("{columns} x {rows}\n"));
    }
    drop(session.stdin);
    assert!(session.output.next().await.is_none());
    assert_eq!(session.exit.await.unwrap(), 3);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_process_may_close_its_input_and_exit_later_than_its_output() {
    let (backend, handle) = launched(limits()).await;
    let session = handle
        .exec(&container("web"), &options("deaf"))
        .await
        .unwrap();
    eventually("the input is closed", || {
        session.stdin.try_send("x".into()).is_err() && session.stdin.is_closed()
    })
    .await;
    assert_eq!(text(session.output).await, "hello\n");
    assert_eq!(session.exit.await.unwrap(), 0);

    let session = handle
        .exec(&container("web"), &options("late"))
        .await
        .unwrap();
    assert_eq!(text(session.output).await, "hello\n");
    assert_eq!(session.exit.await.unwrap(), 5);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_process_without_input_gets_its_end_at_once() {
    let (backend, handle) = launched(limits()).await;
    let options = ExecOptions {
        stdin: false,
        ..options("echo")
    };
    let session = handle.exec(&container("web"), &options).await.unwrap();
    assert_eq!(text(session.output).await, "");
    assert_eq!(session.exit.await.unwrap(), 0);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_dropped_session_is_closed_in_the_library() {
    let (backend, handle) = launched(limits()).await;
    let session = handle
        .exec(&container("web"), &options("stuck"))
        .await
        .unwrap();
    assert_eq!(handle.usage().execs, 1);
    drop(session.output);
    let error = session.exit.await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Cancelled, "{error}");
    finish(backend, handle).await;
}

#[tokio::test]
async fn failures_of_a_session_are_results_of_its_exit() {
    let (backend, handle) = launched(limits()).await;
    let error = handle
        .exec(&container("web"), &options("missing"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    for (program, expected) in [
        ("bad-count", "poll_write of exec accepted 2 of 1 bytes"),
        ("late-panic", "panicked: index out of bounds"),
    ] {
        let session = handle
            .exec(&container("web"), &options(program))
            .await
            .unwrap();
        session.stdin.send("x".into()).await.ok();
        assert_eq!(text(session.output).await, "", "{program}");
        let error = session.exit.await.unwrap_err();
        assert_eq!(error.code, ErrorCode::StreamFailed, "{program}");
        assert!(error.message.contains(expected), "{program}: {error}");
    }
    finish(backend, handle).await;
}
