//! Tests of the readers of calls.

use std::rc::Rc;

use rdd_sdk::testing::{self, CallHandle, ConnectionScript, ScriptedHost};
use rdd_sdk::types::{
    BackendInfo, ContainerRef, Error, ErrorCode, Event, ExecOptions, Inspection, ObjectRef,
    OutputChunk, OutputSource,
};
use rdd_sdk::{Backend, ExecInput, Host, OutputResponder, WatchResponder};

use crate::failure;

/// A backend that echoes the input of its processes, and whose watch never ends.
struct EchoBackend(Host);

impl Backend for EchoBackend {
    fn new(host: Host) -> Self {
        Self(host)
    }

    fn describe() -> BackendInfo {
        unreachable!()
    }

    async fn watch(&self, responder: WatchResponder) -> Result<(), Error> {
        let _connection = self.0.connect().await?;
        let mut sink = responder.accept();
        sink.send(vec![Event::InitBegin, Event::InitDone]).await?;
        std::future::pending().await
    }

    async fn ping(&self) -> Result<(), Error> {
        unreachable!()
    }

    async fn inspect(&self, _: ObjectRef) -> Result<Inspection, Error> {
        unreachable!()
    }

    async fn exec(
        &self,
        _: ContainerRef,
        options: ExecOptions,
        mut input: ExecInput,
        responder: OutputResponder,
    ) -> Result<i32, Error> {
        if options.command.is_empty() {
            return Err(Error::invalid_argument("there is no command"));
        }
        let mut sink = responder.accept();
        let mut source = OutputSource::Stdout;
        while let Some(bytes) = input.stdin.next().await {
            let bytes = bytes.to_vec();
            sink.send(vec![OutputChunk { source, bytes }]).await?;
            source = OutputSource::Stderr;
        }
        Ok(3)
    }
}

fn container() -> ContainerRef {
    ContainerRef {
        namespace: "default".to_owned(),
        id: "a".to_owned(),
    }
}

fn exec_options(command: &[&str]) -> ExecOptions {
    ExecOptions {
        command: command.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        working_dir: None,
        user: None,
        tty: false,
        stdin: true,
        stdout: true,
        stderr: true,
    }
}

#[test]
fn a_process_gets_its_input_and_returns_its_output_and_exit_code() {
    testing::run(async {
        let backend = Rc::new(EchoBackend::new(ScriptedHost::new().handle()));
        let input = || ExecInput::from_items(vec!["in".into(), "err".into()], Vec::new());
        let call = testing::exec(&backend, container(), exec_options(&["cat"]), input());
        let outcome = testing::collect_output(call.await.unwrap()).await;
        assert_eq!(outcome.stdout, b"in");
        assert_eq!(outcome.stderr, b"err");
        assert_eq!(outcome.result, Ok(3));
        let call = testing::exec(&backend, container(), exec_options(&[]), input());
        assert_eq!(call.await.err().unwrap().code, ErrorCode::InvalidArgument);
    });
}

#[test]
fn a_canceled_watch_drops_its_connections() {
    testing::run(async {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new().hold());
        let backend = Rc::new(EchoBackend::new(host.handle()));
        let mut watch = testing::watch(&backend).await.unwrap();
        assert!(watch.listing().await.is_empty());
        assert_eq!(host.open_connections(), 1);
        watch.cancel().await;
        assert_eq!(host.open_connections(), 0);
        assert_eq!(Rc::strong_count(&backend), 1);
    });
}

#[test]
fn a_missing_event_fails_the_test_and_names_the_events_before() {
    let message = failure(async || {
        let host = ScriptedHost::new();
        host.script(ConnectionScript::new().hold());
        let backend = Rc::new(EchoBackend::new(host.handle()));
        let mut watch = testing::watch(&backend).await.unwrap();
        watch.listing().await;
        watch.next().await;
    });
    assert!(
        message.contains("nothing came in 600 s after [Event::InitBegin, Event::InitDone]"),
        "{message}"
    );
    let message = failure(async || {
        let call = CallHandle::start(|to| async move {
            to.accept().send(vec![Event::InitBegin]).await?;
            Err(Error::unavailable("the engine stopped"))
        });
        let mut watch = testing::WatchReader::new(call.await.unwrap());
        watch.listing().await;
    });
    assert!(
        message.contains("expected the end of a listing") && message.contains("the engine stopped"),
        "{message}"
    );
}
