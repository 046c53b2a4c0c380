//! The description of a backend.

use futures::FutureExt;
use rdd_core::{
    ContainerAction, ContainerRef, ContainerSpec, EngineError, EntryOptions, ErrorCode,
    ExecOptions, IdFormat, LogOptions, PullSpec, PushSpec, RemoveRequest, RemoveTarget, VolumeSpec,
    text,
};
use semver::Version;

use crate::case::{CaseContext, CaseFailure, CaseResult, check, check_eq};
use crate::rules;

pub(super) async fn is_valid(context: CaseContext) -> CaseResult {
    let info = context.info();
    check(
        rules::DESCRIBE_NAME,
        text::is_dns_label(&info.name),
        "a name of lower-case letters, digits, and '-'",
        format_args!("{:?}", info.name),
    )?;
    check(
        rules::DESCRIBE_VERSION,
        Version::parse(&info.version).is_ok(),
        "a semantic version",
        format_args!("{:?}", info.version),
    )?;
    let (IdFormat::LowerHex(length) | IdFormat::Identifier(length)) = info.id_format;
    check(
        rules::DESCRIBE_ID_FORM,
        (1..=253).contains(&length),
        "a length of IDs from 1 to 253",
        length,
    )?;
    let namespaces = &info.namespaces;
    check(
        rules::DESCRIBE_NAMESPACES,
        (1..=1_000).contains(&namespaces.len())
            && namespaces.iter().all(|name| text::is_identifier(name, 76)),
        "from 1 to 1,000 valid names of namespaces",
        format_args!("{namespaces:?}"),
    )
}

pub(super) async fn is_the_same_each_time(context: CaseContext) -> CaseResult {
    let other = context
        .target
        .launch()
        .await
        .map_err(|error| CaseFailure::Broken(error.to_string()))?;
    check_eq(
        rules::DESCRIBE_STABLE,
        "the description of a second instance",
        context.info(),
        other.info(),
    )
}

/// Calls whatever the backend does not support.
pub(super) async fn missing_capabilities(context: CaseContext) -> CaseResult {
    let engine = &*context.engine;
    let namespace = context.environment.namespace().to_owned();
    let id = match context.info().id_format {
        IdFormat::LowerHex(digits) => "0".repeat(digits as usize),
        IdFormat::Identifier(_) => "a".to_owned(),
    };
    let container = ContainerRef::new(&namespace, id);
    let mut checked = 0;
    for (capability, is_supported) in context.info().capabilities.named() {
        if is_supported || capability == "entry-times" {
            continue;
        }
        // A log in one form is available in the other form through the host.
        let logs = context.info().capabilities;
        if matches!(capability, "logs" | "entries") && (logs.logs || logs.entries) {
            continue;
        }
        checked += 1;
        let (logs, entries) = (LogOptions::default(), EntryOptions::default());
        let removal = RemoveRequest {
            namespace: namespace.clone(),
            target: RemoveTarget::Container {
                id: container.id.clone(),
            },
        };
        let spec = ContainerSpec::new(&namespace, "none");
        let volume = VolumeSpec {
            namespace: namespace.clone(),
            ..VolumeSpec::default()
        };
        let exec = ExecOptions {
            command: vec!["true".to_owned()],
            ..ExecOptions::default()
        };
        let pull = PullSpec {
            namespace: namespace.clone(),
            image: "none".to_owned(),
            platform: None,
        };
        let push = PushSpec {
            namespace: namespace.clone(),
            image: "none".to_owned(),
        };
        let call = async {
            match capability {
                "logs" => engine.get_logs(&container, &logs).await.map(drop),
                "entries" => engine.get_entries(&container, &entries).await.map(drop),
                "actions" => engine.act(&container, ContainerAction::Start).await,
                "removals" => engine.remove(&removal).await,
                "create-containers" => engine.create_container(&spec).await.map(drop),
                "create-volumes" => engine.create_volume(&volume).await.map(drop),
                "exec" => engine.exec(&container, &exec).await.map(drop),
                "pull" => engine.pull(&pull).await.map(drop),
                "push" => engine.push(&push).await.map(drop),
                _ => Err(EngineError::new(ErrorCode::Unsupported, "not a call")),
            }
        };
        context
            .fails(
                rules::CAPABILITIES,
                &format!("a call that needs {capability}"),
                ErrorCode::Unsupported,
                call.boxed(),
            )
            .await?;
    }
    if checked == 0 {
        return Err(CaseFailure::Skipped(
            "the backend has every capability".to_owned(),
        ));
    }
    Ok(())
}
