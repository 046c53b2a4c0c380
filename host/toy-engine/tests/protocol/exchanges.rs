//! Requests and their responses.

use rdd_core::{ContainerAction, OutputSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{TestEngine, read_until};

/// 2026-01-01, in nanoseconds since the Unix epoch.
const TIME: i64 = 1_767_225_600_000_000_000;

#[tokio::test]
async fn a_ping_is_answered_with_ok() {
    let test = TestEngine::start();
    assert_eq!(test.exchange("ping\n\n").await, "ok\n");
}

#[tokio::test]
async fn a_malformed_request_is_an_invalid_argument_that_names_the_cause() {
    let test = TestEngine::start();
    for (request, cause) in [
        ("nonsense\n\n", "nonsense"),
        ("inspect\tcontainer\tmain\n\n", "inspect"),
        ("inspect\tpod\tmain\tx\n\n", "pod"),
        ("ping\nloud\n\n", "loud"),
        ("logs\tmain\tx\ntail\tmany\n\n", "many"),
        ("logs\tmain\tx\ntail\t1\nafter\t1\t0\n\n", "after"),
        ("create\tcontainer\tmain\nbinding\t80/tcp\t\t\n\n", "80/tcp"),
        ("ping\\x\n\n", "backslash"),
    ] {
        let response = test.exchange(request).await;
        assert!(
            response.starts_with("error\tinvalid-argument\t"),
            "{request:?}: {response}"
        );
        assert!(response.contains(cause), "{request:?}: {response}");
    }
}

#[tokio::test]
async fn a_log_is_a_line_and_a_payload_for_each_entry() {
    let test = TestEngine::start();
    let container = test.container("main", "web");
    for (source, bytes) in [
        (OutputSource::Stdout, b"hello\n".as_slice()),
        (OutputSource::Stderr, b"\n"),
        (OutputSource::Stdout, b"\xff end"),
    ] {
        test.engine
            .write_at(&container, TIME, source, bytes.to_vec())
            .unwrap();
    }
    let response = crate::exchange(test.server.path(), b"logs\tmain\tweb\n\n").await;
    let expected = [
        format!("ok\nentry\t{TIME}\tstdout\tline\t5\nhello").as_bytes(),
        format!("entry\t{TIME}\tstderr\tline\t0\n").as_bytes(),
        format!("entry\t{TIME}\tstdout\tpart\t5\n").as_bytes(),
        b"\xff enddone\n",
    ]
    .concat();
    assert_eq!(
        String::from_utf8_lossy(&response),
        String::from_utf8_lossy(&expected)
    );
    let last = test
        .exchange("logs\tmain\tweb\nstdout\nafter\t1767225600000000000\t1\n\n")
        .await;
    assert_eq!(last, "ok\ndone\n");
}

#[tokio::test]
async fn an_object_is_a_block_whose_fields_are_escaped() {
    let test = TestEngine::start();
    let container = test.container("other", "web");
    test.engine
        .rename(&container, "tab\tand\nnewline\\")
        .unwrap();
    let response = test.exchange("inspect\tcontainer\tother\tweb\n\n").await;
    assert!(response.starts_with("ok\ncontainer\nid\tweb\nnamespace\tother\n"));
    assert!(
        response.contains("name\ttab\\tand\\nnewline\\\\\n"),
        "{response}"
    );
    assert!(
        response.contains("\nrunning\n") && response.ends_with("}\n\n"),
        "{response}"
    );
    let elsewhere = test.exchange("inspect\tcontainer\tmain\tweb\n\n").await;
    assert!(elsewhere.starts_with("error\tnot-found\t"), "{elsewhere}");
}

#[tokio::test]
async fn a_watch_lists_and_then_reports_each_change() {
    let test = TestEngine::start();
    let mut watch = test.connect().await;
    watch.write_all(b"watch\n\n").await.unwrap();
    let listing = read_until(&mut watch, b"ready\n").await;
    let listing = String::from_utf8(listing).unwrap();
    assert!(listing.starts_with("ok\nbegin\nimage\n"), "{listing}");
    let container = test.container("main", "web");
    read_until(&mut watch, b"\nstate\trunning\n").await;
    test.engine.act(&container, ContainerAction::Stop).unwrap();
    read_until(&mut watch, b"\nstate\texited\n").await;
    let removed = test.exchange("remove\tcontainer\tmain\tweb\n\n").await;
    assert_eq!(removed, "ok\n");
    read_until(&mut watch, b"removed\tcontainer\tmain\tweb\n").await;
}

#[tokio::test]
async fn a_watch_that_falls_too_far_behind_begins_again() {
    let test = TestEngine::start();
    let container = test.container("main", "web");
    let mut watch = test.connect().await;
    watch.write_all(b"watch\n\n").await.unwrap();
    read_until(&mut watch, b"ready\n").await;
    // More than the engine keeps, while nothing can be sent.
    test.engine.set_answering(false);
    test.engine.burst(&container, 5_000).unwrap();
    test.engine.set_answering(true);
    read_until(&mut watch, b"begin\n").await;
    let listing = String::from_utf8(read_until(&mut watch, b"ready\n").await).unwrap();
    assert!(listing.contains("label\tburst\t4999\n"), "{listing}");
}

#[tokio::test]
async fn a_process_exchanges_input_and_output() {
    let test = TestEngine::start();
    test.container("main", "web");
    let mut exec = test.connect().await;
    exec.write_all(b"exec\tmain\tweb\ncommand\tcat\nstdin\nstdout\n\ninput\t3\na\nb")
        .await
        .unwrap();
    let output = read_until(&mut exec, b"a\nb").await;
    assert_eq!(output, b"ok\noutput\tstdout\t3\na\nb");
    exec.write_all(b"input-end\n").await.unwrap();
    let mut end = String::new();
    exec.read_to_string(&mut end).await.unwrap();
    assert_eq!(end, "exit\t0\n");
}

#[tokio::test]
async fn half_closing_the_connection_ends_the_input_and_not_the_process() {
    let test = TestEngine::start();
    test.container("main", "web");
    let mut exec = test.connect().await;
    exec.write_all(b"exec\tmain\tweb\ncommand\tcat\nstdin\nstdout\n\ninput\t1\nx")
        .await
        .unwrap();
    exec.shutdown().await.unwrap();
    let mut end = String::new();
    exec.read_to_string(&mut end).await.unwrap();
    assert_eq!(end, "ok\noutput\tstdout\t1\nxexit\t0\n");
}

#[tokio::test]
async fn a_pull_reports_its_layers_and_adds_the_image() {
    let test = TestEngine::start();
    let response = test.exchange("pull\tmain\tapp\n\n").await;
    assert!(
        response.starts_with("ok\nprogress\ta3ed95caeb02\twaiting\t0\t\n"),
        "{response}"
    );
    assert!(response.ends_with("\tcomplete\t0\t\ndone\n"), "{response}");
    let created = test
        .exchange("create\tcontainer\tmain\nname\tx\nimage\tapp\n\n")
        .await;
    assert!(created.starts_with("ok\tc"), "{created}");
    for (image, code) in [
        ("missing", "not-found"),
        ("private/app", "permission-denied"),
        ("down.example/app", "unavailable"),
    ] {
        let response = test.exchange(&format!("pull\tmain\t{image}\n\n")).await;
        assert!(
            response.starts_with(&format!("error\t{code}\t")),
            "{response}"
        );
    }
    let allowed = "pull\tmain\tprivate/app\nuser\ttoy\ttoy\n\n";
    assert!(test.exchange(allowed).await.ends_with("done\n"));
}

#[tokio::test]
async fn the_odd_lines_of_mixed_are_recorded_in_parts() {
    let test = TestEngine::start();
    test.run("main", "mixed", &["mixed"]);
    let follow = b"logs\tmain\tmixed\nfollow\n\n";
    let response = crate::exchange(test.server.path(), follow).await;
    let text = String::from_utf8_lossy(&response);
    for part in [
        "\tpart\t65536\n",
        "\tline\t3392\n",
        "\tpart\t21\nno newline at the end",
    ] {
        assert!(text.contains(part), "{part:?}");
    }
}
