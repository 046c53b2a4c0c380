//! Tests of the accepted and rejected forms of an endpoint.

use super::*;

#[test]
fn a_password_is_never_shown() {
    for text in [
        "ssh://me:s3cret@host",
        "ssh://me:s3/cr@et@host/run/docker.sock",
        "tcp://me:s3cret@host:2375",
        "me:s3cret@host:2375",
        "http://me:s3cret@host",
    ] {
        let error = EngineEndpoint::parse(text).unwrap_err().to_string();
        assert!(!error.contains("s3") && !error.contains("cr"), "{error}");
        assert!(error.contains("me:***@host"), "{error}");
    }
    for text in [
        "unix:///run/a@b:c.sock",
        "ssh://me@host:22",
        "tcp://[::1]:2375",
    ] {
        assert_eq!(redact_password(text), text);
    }
}

fn ssh(user: Option<&str>, host: &str, port: Option<u16>, socket: Option<&str>) -> EngineEndpoint {
    EngineEndpoint::Ssh {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
        socket: socket.map(str::to_owned),
    }
}

fn tcp(host: &str, port: impl Into<Option<u16>>) -> EngineEndpoint {
    EngineEndpoint::Tcp {
        host: host.to_owned(),
        port: port.into(),
    }
}

#[test]
fn the_forms_of_docker_host_are_parsed_and_printed() {
    for (text, endpoint) in [
        (
            "unix:///var/run/docker.sock",
            EngineEndpoint::Unix("/var/run/docker.sock".into()),
        ),
        ("tcp://10.0.0.1:2375", tcp("10.0.0.1", 2375)),
        ("tcp://[::1]:99", tcp("::1", 99)),
        ("tcp://engine.example:2376", tcp("engine.example", 2376)),
        ("ssh://me@there", ssh(Some("me"), "there", None, None)),
        ("ssh://there:22", ssh(None, "there", Some(22), None)),
        (
            "ssh://me@there:22/run/d.sock",
            ssh(Some("me"), "there", Some(22), Some("/run/d.sock")),
        ),
    ] {
        assert_eq!(
            EngineEndpoint::parse(text).as_ref(),
            Ok(&endpoint),
            "{text}"
        );
        assert_eq!(endpoint.to_string(), text);
    }
    assert_eq!(EngineEndpoint::parse("tcp://[::1]/"), Ok(tcp("::1", None)));
    assert_eq!(
        EngineEndpoint::parse("ssh://a/"),
        Ok(ssh(None, "a", None, None))
    );
}

/// The expected values are those that `docker version` reports.
#[test]
fn short_forms_have_the_same_meaning_as_for_the_docker_cli() {
    for (text, expected) in [
        ("unix://", "unix:///var/run/docker.sock"),
        (" unix:///a \n", "unix:///a"),
        ("tcp://", "tcp://localhost:2375"),
        ("tcp://:2399", "tcp://localhost:2399"),
        ("tcp://a", "tcp://a:2375"),
        (":2375", "tcp://localhost:2375"),
        ("localhost", "tcp://localhost:2375"),
        ("localhost:1", "tcp://localhost:1"),
        ("127.0.0.1", "tcp://127.0.0.1:2375"),
        ("127.0.0.1:2375/", "tcp://127.0.0.1:2375"),
        ("engine", "tcp://engine:2375"),
        ("::1", "tcp://[::1]:2375"),
        ("[::1]:1", "tcp://[::1]:1"),
    ] {
        let parsed = EngineEndpoint::parse(text).map(|endpoint| endpoint.to_string());
        assert_eq!(parsed.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn an_unknown_scheme_is_rejected_with_the_supported_forms() {
    let error = EngineEndpoint::parse("fd://").unwrap_err().to_string();
    assert!(error.contains("use unix:///path, tcp://"), "{error}");
    assert!(!error.contains("npipe"), "{error}");
}

#[test]
fn a_named_pipe_is_rejected_with_the_supported_forms() {
    for text in ["npipe://", "npipe:////./pipe/docker_engine"] {
        let error = EngineEndpoint::parse(text).unwrap_err();
        assert_eq!(error, EndpointError::NamedPipe(text.to_owned()));
        let message = error.to_string();
        assert!(
            message.contains("not supported on this platform"),
            "{message}"
        );
        assert!(message.contains("use unix:///path, tcp://"), "{message}");
    }
}

#[test]
fn invalid_endpoints_are_rejected() {
    for text in [
        "",
        " ",
        "/var/run/docker.sock",
        "fd://",
        "fd://3",
        "http://a:1",
        "TCP://a:1",
        "unix:/a",
        "a:b:c",
        "h ost:1",
        "a:1/path",
        "tcp://a:1?x=y",
        "ssh://a/b?x",
        "ssh://a?x",
        "ssh://a#x",
        "ssh://a:b",
        "unix://relative",
        "npipe://x",
        "tcp://a:b",
        "tcp://a:99999",
        "tcp://a:1/path",
        "tcp://me@a:1",
        "ssh://",
        "ssh://@a",
        "ssh://me:secret@a",
        "ssh://-oProxyCommand=x",
        "ssh://-x@a",
    ] {
        let parsed = EngineEndpoint::parse(text);
        assert!(parsed.is_err(), "{text}: {parsed:?}");
    }
}

#[test]
fn a_password_is_rejected_with_the_remedy() {
    let error = EngineEndpoint::parse("ssh://me:pw@a")
        .unwrap_err()
        .to_string();
    assert!(error.contains("use a key"), "{error}");
}

#[test]
fn only_tcp_endpoints_accept_certificates() {
    let files = TlsFiles::in_dir("/certs");
    for (text, port) in [("tcp://a", 2376), ("tcp://a:2375", 2375), ("a:1", 1)] {
        let tls = EngineEndpoint::parse(text).unwrap().with_tls(files.clone());
        let expected = EngineEndpoint::Tls {
            host: "a".to_owned(),
            port,
            files: files.clone(),
        };
        assert_eq!(tls, Ok(expected), "{text}");
    }
    let error = ssh(None, "a", None, None).with_tls(files).unwrap_err();
    assert!(error.to_string().contains("ssh://a"), "{error}");
}
