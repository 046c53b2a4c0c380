use std::path::Path;
use std::time::Duration;

use rdd_core::{BackendRegistry, ErrorCode};
use rdd_plugin::{
    EngineDialer, EngineEndpoint, PluginHost, PluginHostOptions, StartError, TlsFiles,
};
use rdd_plugin_wasm::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::support::*;

async fn failure(endpoint: EngineEndpoint) -> rdd_core::EngineError {
    let dialer = EngineDialer::new(endpoint).unwrap();
    match soon(dialer.connect()).await {
        Ok(_) => panic!("it is connected"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn nobody_there() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none.sock");
    let error = failure(EngineEndpoint::Unix(none.clone())).await;
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains(&none.display().to_string()),
        "{error}"
    );
    assert!(error.message.contains("start the engine"), "{error}");

    let left_over = dir.path().join("left-over.sock");
    drop(UnixListener::bind(&left_over).unwrap());
    let error = failure(EngineEndpoint::Unix(left_over)).await;
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("nothing listens there"), "{error}");

    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = failure(EngineEndpoint::parse(&format!("tcp://127.0.0.1:{port}")).unwrap()).await;
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("nothing listens there"), "{error}");
}

#[cfg(not(windows))]
#[tokio::test]
async fn what_can_never_be_reached_is_an_error_of_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = EngineEndpoint::parse("npipe:////./pipe/docker_engine").unwrap();
    let options = PluginHostOptions::new(Vec::new(), dir.path().join("cache"), pipe);
    let Err(refused) = PluginHost::start(options).await else {
        panic!("it started");
    };
    assert!(matches!(refused, StartError::Transport(_)));
    assert!(
        refused.to_string().contains("only Windows has"),
        "{refused}"
    );

    let tls = EngineEndpoint::parse("tcp://127.0.0.1")
        .unwrap()
        .with_tls(TlsFiles::in_dir(dir.path()))
        .unwrap();
    let Err(refused) = EngineDialer::new(tls) else {
        panic!("there are no certificates");
    };
    assert!(refused.to_string().contains("ca.pem"), "{refused}");
}

/// Reads until the other side half-closes, then answers and closes.
async fn answer(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> Vec<u8> {
    let mut asked = Vec::new();
    stream.read_to_end(&mut asked).await.unwrap();
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    asked
}

async fn ask(endpoint: EngineEndpoint) -> Vec<u8> {
    let dialer = EngineDialer::new(endpoint).unwrap();
    let rdd_plugin_wasm::Connection {
        mut reader,
        mut writer,
    } = soon(dialer.connect()).await.unwrap();
    writer.write_all(b"question").await.unwrap();
    writer.flush().await.unwrap();
    drop(writer);
    let mut answered = Vec::new();
    soon(reader.read_to_end(&mut answered)).await.unwrap();
    answered
}

#[tokio::test]
async fn half_a_connection_is_closed_by_dropping_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let engine = tokio::spawn(async move { answer(listener.accept().await.unwrap().0).await });
    assert_eq!(ask(EngineEndpoint::Unix(path)).await, b"answer");
    assert_eq!(soon(engine).await.unwrap(), b"question");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let engine = tokio::spawn(async move { answer(listener.accept().await.unwrap().0).await });
    assert_eq!(
        ask(EngineEndpoint::parse(&endpoint).unwrap()).await,
        b"answer"
    );
    assert_eq!(soon(engine).await.unwrap(), b"question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_speaks_with_its_own_engine() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "own-sock");
    install(dir.path(), "shared-s");
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut options = options(&[dir.path()]);
    options
        .endpoints
        .insert("own-sock".to_owned(), EngineEndpoint::Unix(path));
    let host = start(options).await;
    let engine = tokio::spawn(async move { answer(listener.accept().await.unwrap().0).await });
    let own = loaded(&host, "own-sock").await.engine;
    assert_eq!(
        soon(own.inspect(&container("echo"))).await.unwrap().raw,
        "answer"
    );
    assert_eq!(soon(engine).await.unwrap(), b"echo");
    let shared = loaded(&host, "shared-s").await.engine;
    let error = soon(shared.inspect(&container("echo"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains("/nonexistent/engine.sock"),
        "{error}"
    );
    assert_eq!(host.names(), ["own-sock", "shared-s"]);
}

#[cfg(unix)]
#[tokio::test]
async fn ssh_that_cannot_connect_says_what_ssh_said() {
    // Nobody listens at port 1.
    let endpoint = EngineEndpoint::parse("ssh://nobody@127.0.0.1:1").unwrap();
    let dialer = EngineDialer::new(endpoint).unwrap();
    let said = match tokio::time::timeout(Duration::from_secs(20), dialer.connect())
        .await
        .unwrap()
    {
        Ok(mut connection) => {
            let mut nothing = Vec::new();
            soon(connection.reader.read_to_end(&mut nothing))
                .await
                .unwrap_err()
                .to_string()
        }
        Err(error) => {
            assert!(!Path::new("/usr/bin/ssh").exists(), "{error}");
            assert!(
                error.message.contains("install an OpenSSH client"),
                "{error}"
            );
            return;
        }
    };
    assert!(said.contains("port 1: Connection refused"), "{said}");
}
