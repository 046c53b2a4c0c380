//! Transports, and endpoints that cannot be used.

use std::path::Path;
use std::time::Duration;

use rdd_core::{BackendRegistry, ErrorCode};
use rdd_plugin::{
    EndpointError, EngineDialer, EngineEndpoint, PluginDirs, PluginHost, PluginHostOptions,
    StartError, TlsFiles,
};
use rdd_plugin_contract::{EngineConnection, EngineTransport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::support::*;

async fn failure(endpoint: EngineEndpoint) -> rdd_core::EngineError {
    let dialer = EngineDialer::new(endpoint).unwrap();
    match in_time(dialer.connect()).await {
        Ok(_) => panic!("the connection was accepted"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn an_unreachable_engine_is_an_error_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.sock");
    let error = failure(EngineEndpoint::Unix(missing.clone())).await;
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains(&missing.display().to_string()),
        "{error}"
    );
    assert!(error.message.contains("start the engine"), "{error}");

    let stale = dir.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let error = failure(EngineEndpoint::Unix(stale)).await;
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains("nothing is listening there"),
        "{error}"
    );

    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = failure(EngineEndpoint::parse(&format!("tcp://127.0.0.1:{port}")).unwrap()).await;
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains("nothing is listening there"),
        "{error}"
    );
}

#[tokio::test]
async fn an_endpoint_that_can_never_be_reached_fails_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let error = EngineEndpoint::parse("npipe:////./pipe/docker_engine").unwrap_err();
    assert!(matches!(error, EndpointError::NamedPipe(_)), "{error}");

    let tls = EngineEndpoint::parse("tcp://127.0.0.1")
        .unwrap()
        .with_tls(TlsFiles::in_dir(dir.path()))
        .unwrap();
    let options = PluginHostOptions::new(PluginDirs::default(), dir.path().join("cache"), tls);
    let Err(error) = PluginHost::start(options).await else {
        panic!("the host started without certificates");
    };
    assert!(matches!(error, StartError::Transport(_)), "{error}");
    assert!(error.to_string().contains("ca.pem"), "{error}");
}

/// Reads until the client half-closes, then responds and closes. Returns what was
/// read.
async fn respond(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> Vec<u8> {
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    received
}

/// Sends a request, half-closes, and returns the response.
async fn request(endpoint: EngineEndpoint) -> Vec<u8> {
    let dialer = EngineDialer::new(endpoint).unwrap();
    let EngineConnection {
        mut reader,
        mut writer,
    } = in_time(dialer.connect()).await.unwrap();
    writer.write_all(b"question").await.unwrap();
    writer.flush().await.unwrap();
    drop(writer);
    let mut response = Vec::new();
    in_time(reader.read_to_end(&mut response)).await.unwrap();
    response
}

#[tokio::test]
async fn dropping_the_writer_half_closes_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let engine = tokio::spawn(async move { respond(listener.accept().await.unwrap().0).await });
    assert_eq!(request(EngineEndpoint::Unix(path)).await, b"answer");
    assert_eq!(in_time(engine).await.unwrap(), b"question");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let engine = tokio::spawn(async move { respond(listener.accept().await.unwrap().0).await });
    assert_eq!(
        request(EngineEndpoint::parse(&endpoint).unwrap()).await,
        b"answer"
    );
    assert_eq!(in_time(engine).await.unwrap(), b"question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_connects_to_its_own_engine() {
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
    let engine = tokio::spawn(async move { respond(listener.accept().await.unwrap().0).await });
    let own = loaded(&host, "own-sock").await.engine;
    assert_eq!(
        in_time(own.inspect(&container("echo"))).await.unwrap().raw,
        "answer"
    );
    assert_eq!(in_time(engine).await.unwrap(), b"echo");
    let shared = loaded(&host, "shared-s").await.engine;
    let error = in_time(shared.inspect(&container("echo")))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains("/nonexistent/engine.sock"),
        "{error}"
    );
    assert_eq!(host.names(), ["own-sock", "shared-s"]);
}

#[tokio::test]
async fn a_failed_ssh_connection_carries_the_message_of_ssh() {
    // Nothing listens on port 1.
    let endpoint = EngineEndpoint::parse("ssh://nobody@127.0.0.1:1").unwrap();
    let dialer = EngineDialer::new(endpoint).unwrap();
    let message = match tokio::time::timeout(Duration::from_secs(20), dialer.connect())
        .await
        .unwrap()
    {
        Ok(mut connection) => {
            let mut nothing = Vec::new();
            in_time(connection.reader.read_to_end(&mut nothing))
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
    assert!(message.contains("port 1: Connection refused"), "{message}");
}
