use std::time::Duration;

use futures::StreamExt;
use rdd_core::{
    ContainerEngine, ContainerSpec, EntryBatch, EntryOptions, EntryPosition, ErrorCode,
    ExecOptions, OutputSource, PullSpec, PushSpec, TerminalSize, Timestamp, TransferPhase,
    VolumeSpec,
};

use super::{CallGate, FakeEngine, LogScript, TransferScript};

/// Reads a log that is not followed: its gaps, and each entry as text.
async fn read(engine: &FakeEngine, id: &str, options: EntryOptions) -> Vec<String> {
    let options = EntryOptions {
        follow: false,
        ..options
    };
    let container = engine.container_ref(id);
    let mut log = engine.get_entries(&container, &options).await.unwrap();
    let mut read = Vec::new();
    while let Some(batch) = log.next().await {
        let batch = batch.unwrap();
        read.extend(batch.gap().map(|gap| format!("{gap:?}")));
        for entry in batch.entries() {
            read.push(String::from_utf8_lossy(entry.bytes).into_owned());
        }
    }
    read
}

fn after(seconds: i64, index: u32) -> EntryOptions {
    EntryOptions {
        after: Some(EntryPosition {
            time: seconds * 1_000_000_000,
            index,
        }),
        ..EntryOptions::default()
    }
}

#[tokio::test]
async fn a_log_resumes_after_a_position_among_equal_times() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    for (seconds, line) in [(10, "a\n"), (10, "b\n"), (10, "c\n"), (9, "d\n")] {
        let at = Timestamp::from_seconds(seconds);
        engine.write_log_at(&id, at, OutputSource::Stdout, line);
    }
    assert_eq!(read(&engine, &id, after(10, 1)).await, ["c", "d"]);
    assert_eq!(read(&engine, &id, after(9, 0)).await, [""; 0]);
    assert_eq!(
        read(&engine, &id, after(10, 3)).await,
        ["Unknown", "a", "b", "c", "d"]
    );
    engine.rotate_log(&id, 2);
    assert_eq!(
        read(&engine, &id, after(10, 2)).await,
        ["Rotated", "c", "d"]
    );
    let both = EntryOptions {
        tail: Some(1),
        ..after(10, 0)
    };
    let error = engine.get_entries(&engine.container_ref(&id), &both).await;
    assert_eq!(error.err().unwrap().code, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn the_bytes_of_entries_and_of_chunks_are_equal() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let long = "x".repeat(EntryBatch::MAX_BYTES * 2 + 7);
    for line in ["\n".to_owned(), format!("{long}\n"), "end".to_owned()] {
        engine.write_log(&id, OutputSource::Stdout, line);
    }
    engine.end_log(&id);
    let container = engine.container_ref(&id);
    let mut entries = Vec::new();
    let mut lengths = Vec::new();
    let mut log = engine
        .get_entries(&container, &EntryOptions::default())
        .await
        .unwrap();
    while let Some(batch) = log.next().await {
        for entry in batch.unwrap().entries() {
            lengths.push(entry.header.length);
            entries.extend_from_slice(entry.bytes);
            if !entry.header.is_partial {
                entries.push(b'\n');
            }
        }
    }
    let mut chunks = Vec::new();
    let mut log = engine
        .get_logs(&container, &rdd_core::LogOptions::default())
        .await
        .unwrap();
    while let Some(chunk) = log.next().await {
        let chunk = chunk.unwrap().bytes;
        assert!(chunk.len() <= rdd_core::OutputChunk::MAX_LEN);
        chunks.extend_from_slice(&chunk);
    }
    assert_eq!(lengths, [0, 65_536, 65_536, 7, 3]);
    assert!(entries == chunks && chunks == format!("\n{long}\nend").as_bytes());
}

#[tokio::test]
async fn generated_entries_have_the_scripted_number_of_lines() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let script = LogScript {
        total: 1_000_000,
        line: 100,
        chunk: 64 * 1024,
    };
    engine.generate_log(&id, script);
    let read = read(&engine, &id, EntryOptions::default()).await;
    assert_eq!((read.len(), read[9_999].len()), (10_000, 99));
}

#[tokio::test]
async fn a_creation_needs_an_image_and_a_free_name() {
    let engine = FakeEngine::default();
    let engine: &dyn ContainerEngine = &engine;
    let spec = ContainerSpec {
        name: Some("web".to_owned()),
        command: vec!["sleep".to_owned(), "1".to_owned()],
        ..ContainerSpec::new("moby", "busybox")
    };
    let code = |result: Result<String, rdd_core::EngineError>| result.unwrap_err().code;
    assert_eq!(
        code(engine.create_container(&spec).await),
        ErrorCode::NotFound
    );
    let pull = PullSpec {
        namespace: "moby".to_owned(),
        image: "busybox".to_owned(),
        platform: None,
    };
    let mut transfer = engine.pull(&pull).await.unwrap();
    while let Some(progress) = transfer.next().await {
        progress.unwrap();
    }
    engine.create_container(&spec).await.unwrap();
    assert_eq!(
        code(engine.create_container(&spec).await),
        ErrorCode::Conflict
    );
    let volume = VolumeSpec {
        namespace: "moby".to_owned(),
        name: Some("data".to_owned()),
        ..VolumeSpec::default()
    };
    assert_eq!(engine.create_volume(&volume).await.unwrap(), "data");
    assert_eq!(
        code(engine.create_volume(&volume).await),
        ErrorCode::Conflict
    );
}

#[tokio::test]
async fn a_process_has_input_output_and_an_exit_code() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let container = engine.container_ref(&id);
    let run = async |command: &[&str], stdin: Option<&'static str>| {
        let options = ExecOptions {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            stdin: stdin.is_some(),
            ..ExecOptions::default()
        };
        let session = engine.exec(&container, &options).await.unwrap();
        if let Some(stdin) = stdin {
            session.stdin.send(stdin.into()).await.unwrap();
        }
        drop(session.stdin);
        let output: Vec<_> = session.output.collect().await;
        let output: Vec<_> = output
            .into_iter()
            .flat_map(|chunk| chunk.unwrap().bytes)
            .collect();
        (
            String::from_utf8(output).unwrap(),
            session.exit.await.unwrap(),
        )
    };
    assert_eq!(
        run(&["echo", "a", "b"], None).await,
        ("a b\n".to_owned(), 0)
    );
    assert_eq!(run(&["cat"], Some("in")).await, ("in".to_owned(), 0));
    assert_eq!(run(&["exit", "7"], None).await, (String::new(), 7));
    assert_eq!(run(&["/fake/data"], None).await.1, 126);
    assert_eq!(run(&["nothing"], None).await.1, 127);
}

#[tokio::test]
async fn a_terminal_reports_its_sizes_and_ends_with_its_container() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let options = ExecOptions {
        command: vec!["size".to_owned()],
        tty: true,
        stderr: false,
        ..ExecOptions::default()
    };
    let mut session = engine
        .exec(&engine.container_ref(&id), &options)
        .await
        .unwrap();
    let size = TerminalSize {
        columns: 80,
        rows: 24,
    };
    session.resizes.send(Some(size)).unwrap();
    let chunk = session.output.next().await.unwrap().unwrap();
    assert_eq!(chunk.bytes, "24 80\r\n");
    engine.stop(&id);
    assert_eq!(session.exit.await, Ok(137));
    let stopped = engine.exec(&engine.container_ref(&id), &options).await;
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Conflict);
}

#[tokio::test]
async fn a_scripted_pull_waits_for_its_gate_and_adds_the_image() {
    let engine = FakeEngine::default();
    let gate = CallGate::closed();
    let script = TransferScript {
        gate: Some(gate.clone()),
        ..TransferScript::pull()
    };
    engine.script_transfer("app:1", script);
    let spec = PullSpec {
        namespace: "moby".to_owned(),
        image: "app:1".to_owned(),
        platform: None,
    };
    let mut transfer = engine.pull(&spec).await.unwrap();
    let mut phases = Vec::new();
    for _ in 0..14 {
        phases.push(transfer.next().await.unwrap().unwrap().phase);
    }
    assert_eq!(phases.iter().filter(|phase| phase.is_complete()).count(), 2);
    let waiting = tokio::time::timeout(Duration::from_millis(20), transfer.next()).await;
    assert!(waiting.is_err() && engine.objects().is_empty());
    gate.open();
    assert!(transfer.next().await.is_none());
    assert_eq!(engine.objects().len(), 1);
    let missing = PushSpec {
        namespace: "moby".to_owned(),
        image: "missing".to_owned(),
    };
    let error = engine.push(&missing).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::NotFound);
    let present = PushSpec {
        image: "app:1".to_owned(),
        ..missing
    };
    // The script of the image applies to the push as well.
    let progress: Vec<_> = engine.push(&present).await.unwrap().collect().await;
    assert!(progress.iter().all(Result::is_ok));
    assert_eq!(phases[1], TransferPhase::Downloading);
}
