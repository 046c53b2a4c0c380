//! Tests of processes in containers.

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use rdd_sdk::testing::{self, CallHandle};
use rdd_sdk::types::{Error, ErrorCode, ExecOptions, OutputChunk, TerminalSize};
use rdd_sdk::{ExecInput, InputStream};

use crate::fixture::{self, EngineFixture, container_ref};

fn options(command: &[&str]) -> ExecOptions {
    ExecOptions {
        command: command.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        working_dir: None,
        user: None,
        tty: false,
        stdin: false,
        stdout: true,
        stderr: true,
    }
}

type Session = CallHandle<OutputChunk, i32>;

async fn exec(
    fixture: &EngineFixture,
    id: &str,
    options: ExecOptions,
    input: ExecInput,
) -> Result<Session, Error> {
    testing::exec(&fixture.moby, container_ref(id), options, input).await
}

/// Returns standard output, standard error, and the exit code.
async fn finish(session: Session) -> (String, String, i32) {
    let outcome = testing::collect_output(session).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&outcome.stdout), text(&outcome.stderr));
    (out, err, outcome.result.unwrap())
}

async fn run(fixture: &EngineFixture, id: &str, options: ExecOptions) -> (String, String, i32) {
    let input = ExecInput::from_items(Vec::new(), Vec::new());
    finish(exec(fixture, id, options, input).await.unwrap()).await
}

async fn running(fixture: &EngineFixture) -> String {
    let id = fixture.create("a", "exec sleep 600", false).await;
    fixture.start(&id).await;
    id
}

#[test]
fn a_process_has_output_and_an_exit_code() {
    fixture::run("exec", |fixture| async move {
        let id = running(&fixture).await;
        let script = "echo out; echo err >&2; pwd; echo $A; id -u; exit 3";
        let options = ExecOptions {
            env: vec![("A".to_owned(), "b c".to_owned())],
            working_dir: Some("/tmp".to_owned()),
            user: Some("7".to_owned()),
            ..options(&["sh", "-c", script])
        };
        let (out, err, code) = run(&fixture, &id, options).await;
        assert_eq!(
            (out.as_str(), err.as_str(), code),
            ("out\n/tmp\nb c\n7\n", "err\n", 3)
        );
        let (_, _, code) = run(&fixture, &id, self::options(&["sh", "-c", "kill -9 $$"])).await;
        assert_eq!(code, 137);
        // Without output, only the exit code is returned.
        let silent = ExecOptions {
            stdout: false,
            stderr: false,
            ..self::options(&["sh", "-c", "echo out; exit 4"])
        };
        let (out, _, code) = run(&fixture, &id, silent).await;
        assert_eq!((out.as_str(), code), ("", 4));
    });
}

#[test]
fn a_command_that_cannot_be_run_has_the_exit_code_of_a_shell() {
    fixture::run("norun", |fixture| async move {
        let id = running(&fixture).await;
        let (out, err, code) = run(&fixture, &id, options(&["no-such-program"])).await;
        assert_eq!(code, 127, "{out}{err}");
        assert!(
            out.is_empty() && err.contains("no-such-program"),
            "{out}{err}"
        );
        let (out, err, code) = run(&fixture, &id, options(&["/etc"])).await;
        assert_eq!(code, 126, "{out}{err}");
    });
}

#[test]
fn input_is_copied_while_output_is_and_its_end_half_closes() {
    fixture::run("stdin", |fixture| async move {
        let id = running(&fixture).await;
        let options = ExecOptions {
            stdin: true,
            ..options(&["cat"])
        };
        // More than all buffers, so that both directions must go on.
        let (mut sender, receiver) = mpsc::channel(0);
        let input = ExecInput {
            stdin: InputStream::new(Box::new(receiver)),
            resizes: ExecInput::from_items(Vec::new(), Vec::new()).resizes,
        };
        let session = exec(&fixture, &id, options, input).await.unwrap();
        let writing = async move {
            for _ in 0..64 {
                sender.send(Bytes::from(vec![b'x'; 65_536])).await.unwrap();
            }
        };
        let ((), (out, _, code)) = futures::join!(writing, finish(session));
        assert_eq!((out.len(), code), (64 * 65_536, 0));
    });
}

#[test]
fn a_terminal_has_a_size_and_one_output() {
    fixture::run("tty", |fixture| async move {
        let id = running(&fixture).await;
        let (mut sizes, receiver) = mpsc::channel(0);
        let (mut stdin, input) = mpsc::channel(0);
        let input = ExecInput {
            stdin: InputStream::new(Box::new(input)),
            resizes: InputStream::new(Box::new(receiver)),
        };
        let options = ExecOptions {
            tty: true,
            stdin: true,
            stderr: false,
            ..options(&["sh", "-c", "read go; stty size; echo err >&2"])
        };
        let session = exec(&fixture, &id, options, input).await.unwrap();
        let size = TerminalSize {
            columns: 132,
            rows: 50,
        };
        let acting = async move {
            sizes.send(size).await.unwrap();
            // The second one is read after the first one was sent to the engine.
            sizes.send(size).await.unwrap();
            stdin.send(Bytes::from_static(b"go\n")).await.unwrap();
            (sizes, stdin)
        };
        let (_open, (out, err, code)) = futures::join!(acting, finish(session));
        assert!(
            out.contains("50 132\r\n") && out.contains("err\r\n"),
            "{out:?}"
        );
        assert_eq!((err.as_str(), code), ("", 0));
    });
}

#[test]
fn the_exit_code_of_a_process_that_closed_its_output_is_awaited() {
    fixture::run("late", |fixture| async move {
        let id = running(&fixture).await;
        let script = "exec >&- 2>&-; sleep 1; exit 5";
        let (out, _, code) = run(&fixture, &id, options(&["sh", "-c", script])).await;
        assert_eq!((out.as_str(), code), ("", 5));
    });
}

#[test]
fn exec_in_a_container_that_does_not_run_is_a_conflict() {
    fixture::run("stopped", |fixture| async move {
        let stopped = fixture.create("a", "true", false).await;
        let input = || ExecInput::from_items(Vec::new(), Vec::new());
        let refused = exec(&fixture, &stopped, options(&["true"]), input()).await;
        assert_eq!(refused.err().unwrap().code, ErrorCode::Conflict);
        let missing = "ab".repeat(32);
        let refused = exec(&fixture, &missing, options(&["true"]), input()).await;
        assert_eq!(refused.err().unwrap().code, ErrorCode::NotFound);
    });
}
