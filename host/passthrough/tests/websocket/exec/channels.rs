//! What is sent in each subprotocol.

use futures::{SinkExt as _, StreamExt as _};
use rdd_core::ExecOptions;
use rdd_passthrough::limits;
use rdd_testkit::EngineCall;
use tokio_tungstenite::tungstenite::Message;

use super::client::{ExecClient, RESIZE, STDIN, V4, V5, exec, wait_for_no_process};
use crate::common::{TestServer, read_to_close};

async fn start() -> (TestServer, String) {
    let server = TestServer::start().await;
    let id = server.engine.run_container("web");
    (server, id)
}

#[tokio::test]
async fn each_output_is_on_its_channel_and_the_status_on_the_error_channel() {
    let (server, id) = start().await;
    for subprotocol in [V4, V5] {
        let open = async |command, options| {
            let path = exec(&id, command, options);
            let mut client = ExecClient::open(&server, &path, subprotocol).await;
            client.finish().await
        };
        let both = "stdout=true&stderr=true";
        let result = open("echo out", both).await;
        assert_eq!(result.stdout, b"out\n");
        assert!(result.stderr.is_empty());
        result.assert_exited(0);
        let result = open("err oops", both).await;
        assert_eq!(result.stderr, b"oops\n");
        assert!(result.stdout.is_empty());
        result.assert_exited(0);
        open("exit 3", both).await.assert_exited(3);
        open("kill 9", both).await.assert_exited(137);
        for (command, code) in [("/fake/data", 126), ("nonesuch", 127)] {
            let result = open(command, both).await;
            let message = String::from_utf8(result.stderr.clone()).unwrap();
            assert!(message.contains(command), "{message}");
            result.assert_exited(code);
        }
    }
    wait_for_no_process(&server.engine).await;
}

#[tokio::test]
async fn the_first_message_is_empty_and_on_the_lowest_channel() {
    let (server, id) = start().await;
    for (streams, channel) in [
        ("stdin=true&stdout=true&stderr=true", 1),
        ("stdin=true&stderr=true", 2),
        ("stdin=true", 3),
    ] {
        let path = exec(&id, "sleep", streams);
        let mut client = ExecClient::open(&server, &path, V5).await;
        let first = client.0.next().await.unwrap().unwrap();
        assert_eq!(first, Message::binary(vec![channel]), "{streams}");
    }
}

#[tokio::test]
async fn without_a_subprotocol_messages_are_bytes_and_the_reason_has_the_exit_code() {
    let (server, id) = start().await;
    for (command, output, reason) in [
        ("echo out", "out\n", "exit code 0"),
        ("err oops", "oops\n", "exit code 0"),
        ("exit 3", "", "exit code 3"),
        (
            "nonesuch",
            "exec: \"nonesuch\": executable file not found in $PATH\n",
            "exit code 127",
        ),
    ] {
        let path = exec(&id, command, "stdout=true&stderr=true");
        let (mut socket, response) = server.upgrade(&path, &[]).await.unwrap();
        assert!(response.headers().get("sec-websocket-protocol").is_none());
        let (bytes, close) = read_to_close(&mut socket).await;
        assert_eq!(bytes, output.as_bytes());
        assert_eq!(close, Some((1000, reason.to_owned())));
    }
    let path = exec(&id, "cat", "stdin=true&stdout=true");
    let mut socket = server.connect(&path).await.unwrap();
    for message in [Message::binary(&b"\0\xff"[..]), Message::text("é")] {
        let bytes = message.clone().into_data();
        socket.send(message).await.unwrap();
        let echoed = socket.next().await.unwrap().unwrap();
        assert_eq!(echoed, Message::Binary(bytes));
    }
}

#[tokio::test]
async fn a_client_that_offers_several_subprotocols_gets_its_first() {
    let (server, id) = start().await;
    let path = exec(&id, "echo x", "stdout=true");
    for (offered, selected) in [
        (format!("{V5}, {V4}"), V5),
        (format!("{V4}, {V5}"), V4),
        (format!("v6.channel.k8s.io, {V4}"), V4),
    ] {
        let headers = [("sec-websocket-protocol", &*offered)];
        let (_, response) = server.upgrade(&path, &headers).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], selected);
    }
}

#[tokio::test]
async fn input_is_half_closed_in_version_5_only_and_the_output_goes_on() {
    let (server, id) = start().await;
    let path = exec(&id, "cat", "stdin=true&stdout=true");
    let mut client = ExecClient::open(&server, &path, V5).await;
    client.send(STDIN, b"one").await;
    assert_eq!(client.next().await, (1, "one".to_owned()));
    client.send(STDIN, b"two").await;
    client.end_input().await;
    client.send(STDIN, b"too late").await;
    let result = client.finish().await;
    assert_eq!(result.stdout, b"two");
    result.assert_exited(0);

    let mut client = ExecClient::open(&server, &path, V4).await;
    client.end_input().await;
    client.send(STDIN, b"still open").await;
    assert_eq!(client.next().await, (1, "still open".to_owned()));
}

#[tokio::test]
async fn the_exit_code_may_come_long_after_the_output_ended() {
    let (server, id) = start().await;
    let path = exec(&id, "close-output", "stdin=true&stdout=true");
    let mut client = ExecClient::open(&server, &path, V5).await;
    client.0.next().await.unwrap().unwrap();
    // A pong shows that the session goes on.
    client.0.send(Message::Ping("?".into())).await.unwrap();
    let pong = client.0.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("?".into()));
    assert_eq!(server.engine.process_count(), 1);
    client.end_input().await;
    client.finish().await.assert_exited(0);
}

#[tokio::test]
async fn each_size_of_the_terminal_reaches_the_process() {
    let (server, id) = start().await;
    let path = exec(&id, "size", "stdin=true&stdout=true&stderr=true&tty=true");
    let mut client = ExecClient::open(&server, &path, V5).await;
    for (size, printed) in [
        (&br#"{"Width":80,"Height":24}"#[..], "24 80\r\n"),
        (br#"{"Height":50,"Width":132}"#, "50 132\r\n"),
    ] {
        client.send(RESIZE, size).await;
        assert_eq!(client.next().await, (1, printed.to_owned()));
    }
    // kubelet ignores a size of zero.
    client.send(RESIZE, br#"{"Width":0,"Height":0}"#).await;
    client.end_input().await;
    let result = client.finish().await;
    assert!(result.stdout.is_empty(), "{result:?}");
    result.assert_exited(0);
}

#[tokio::test]
async fn a_malformed_size_ends_with_1007() {
    let (server, id) = start().await;
    let path = exec(&id, "size", "stdin=true&stdout=true&tty=true");
    let mut client = ExecClient::open(&server, &path, V5).await;
    client.send(RESIZE, b"80x24").await;
    let close = client.finish().await.close.unwrap();
    assert_eq!(close.0, 1007);
    assert!(close.1.contains("\"Width\""), "{}", close.1);
    wait_for_no_process(&server.engine).await;
}

#[tokio::test]
async fn each_parameter_reaches_the_engine() {
    let (server, id) = start().await;
    for (path, expected) in [
        (
            exec(&id, "env", "stdout=1&env=A=b%3Dc&env=D="),
            "A=b=c\nD=\n",
        ),
        (exec(&id, "pwd", "stdout=1&workdir=/tmp"), "/tmp\n"),
        (exec(&id, "id", "stdout=1&user=www:www"), "www:www\n"),
        (exec(&id, "err x", "stdout=1"), ""),
        (exec(&id, "echo a b", "stderr=1"), ""),
        (exec(&id, "echo a&command=&command=b%20c", ""), "a  b c\n"),
        (exec(&id, "cat", "stdout=1"), ""),
    ] {
        let mut client = ExecClient::open(&server, &path, V5).await;
        let result = client.finish().await;
        assert_eq!(String::from_utf8_lossy(&result.stdout), expected, "{path}");
        result.assert_exited(0);
    }
    let path = exec(
        &id,
        "sh -c ls",
        "stdin=true&stdout=true&stderr=true&tty=true",
    );
    ExecClient::open(&server, &path, V5).await.finish().await;
    let options = ExecOptions {
        command: ["sh", "-c", "ls"].map(str::to_owned).to_vec(),
        tty: true,
        stdin: true,
        stdout: true,
        stderr: false,
        ..ExecOptions::default()
    };
    let call = EngineCall::Exec {
        container: server.engine.container_ref(&id),
        options,
    };
    assert_eq!(server.engine.calls().last(), Some(&call));
}

#[tokio::test]
async fn the_namespace_selects_the_container() {
    let (server, id) = start().await;
    let shop = server.engine.in_namespace("shop");
    shop.create_container_with("web", |container| container.id.clone_from(&id));
    shop.start(&id);
    let path = exec(&id, "echo x", "stdout=1&namespace=shop");
    ExecClient::open(&server, &path, V5).await.finish().await;
    let Some(EngineCall::Exec { container, .. }) = server.engine.calls().pop() else {
        panic!("{:?}", server.engine.calls());
    };
    assert_eq!(container.namespace, "shop");
}

#[tokio::test]
async fn a_message_of_1_mib_arrives_whole_and_a_larger_one_ends_with_1009() {
    let (server, id) = start().await;
    let path = exec(&id, "cat", "stdin=true&stdout=true");
    let mut client = ExecClient::open(&server, &path, V5).await;
    let input: Vec<u8> = (0..limits::MAX_EXEC_MESSAGE - 1)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect();
    client.send(STDIN, &input).await;
    client.end_input().await;
    let result = client.finish().await;
    assert!(result.stdout == input, "{} bytes", result.stdout.len());
    result.assert_exited(0);

    let mut client = ExecClient::open(&server, &path, V5).await;
    client
        .send(STDIN, &vec![b'x'; limits::MAX_EXEC_MESSAGE])
        .await;
    let close = client.finish().await.close.unwrap();
    assert_eq!(close.0, 1009);
    assert!(close.1.contains("1048576 bytes"), "{}", close.1);
    wait_for_no_process(&server.engine).await;
}

#[tokio::test]
async fn megabytes_pass_through_a_process_in_both_directions_at_once() {
    let (server, id) = start().await;
    let path = exec(&id, "cat", "stdin=true&stdout=true");
    let client = ExecClient::open(&server, &path, V5).await;
    let (mut sink, mut stream) = client.0.split();
    let input: Vec<u8> = (0..10 * 1024 * 1024_u32)
        .map(|index| index.to_le_bytes()[1] ^ index.to_le_bytes()[0])
        .collect();
    let sending = async {
        for piece in input.chunks(32 * 1024) {
            let message = [&[STDIN], piece].concat();
            sink.send(Message::binary(message)).await.unwrap();
        }
        sink.send(Message::binary(super::client::STDIN_END))
            .await
            .unwrap();
    };
    let receiving = async {
        let mut output = Vec::new();
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Binary(bytes) = message
                && bytes[0] == 1
            {
                output.extend_from_slice(&bytes[1..]);
            }
        }
        output
    };
    let ((), output) = tokio::join!(sending, receiving);
    assert!(output == input, "{} bytes", output.len());
}
