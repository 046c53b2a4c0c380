//! One request for a container, and its outcome.
//!
//! The daemon writes the outcome of an action to `status.lastAction` and then
//! removes the annotation. To not mistake the outcome of an earlier action for
//! this one's, the annotation is set only while there is none (checked by the
//! resource version), and the outcome is read after the annotation is removed.

use std::cell::Cell;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::wait::await_condition;
use rdd_api::{ACTION_ANNOTATION, ActionName, ActionState, Container, LastAction, condition};
use serde_json::json;

/// The maximum number of attempts to set the annotation if other writes conflict.
const MAX_ATTEMPTS: usize = 20;

/// Requests an action and waits for its outcome. `requested` says whether the
/// request was written to the API.
pub(super) async fn request_action(
    api: &Api<Container>,
    id: &str,
    name: ActionName,
    requested: &Cell<bool>,
) -> Result<()> {
    let requested_at = Timestamp::now();
    let annotated = set_annotation(api, id, name).await?;
    requested.set(true);
    let uid = annotated.uid();
    let before = last_action(&annotated);
    let is_over = |seen: Option<&Container>| {
        seen.is_none_or(|seen| seen.uid() != uid || requested_action(seen) != Some(name.as_str()))
    };
    let seen = await_condition(api.clone(), id, is_over)
        .await
        .context("cannot wait for the outcome; the request stands")?
        .filter(|seen| seen.uid() == uid)
        .context("the container was removed in the meantime")?;
    outcome(name, before.as_ref(), &seen, requested_at)
}

/// Sets the annotation once there is none, so that earlier actions have ended
/// and their outcomes are recorded.
async fn set_annotation(api: &Api<Container>, id: &str, name: ActionName) -> Result<Container> {
    for _ in 0..MAX_ATTEMPTS {
        let is_idle =
            |seen: Option<&Container>| seen.is_none_or(|seen| requested_action(seen).is_none());
        let seen = await_condition(api.clone(), id, is_idle)
            .await
            .context("cannot read the container")?
            .context("the container was removed in the meantime")?;
        let patch = json!({"metadata": {
            "resourceVersion": seen.metadata.resource_version,
            "annotations": {ACTION_ANNOTATION: name.as_str()},
        }});
        match api
            .patch(id, &PatchParams::default(), &Patch::Merge(patch))
            .await
        {
            Ok(annotated) => return Ok(annotated),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("too many conflicting writes by other clients; try again")
}

/// Returns the outcome of an action whose annotation was removed or replaced.
fn outcome(
    name: ActionName,
    before: Option<&LastAction>,
    seen: &Container,
    requested_at: Timestamp,
) -> Result<()> {
    let recorded = last_action(seen).filter(|last| {
        // Records have whole seconds, so the record of an equal action within the
        // same second is equal to the earlier one.
        let is_new =
            before != Some(last) || last.completed_at.0.as_second() >= requested_at.as_second();
        last.action == name && is_new
    });
    match recorded {
        Some(last) if last.state == ActionState::Succeeded => Ok(()),
        Some(last) => bail!("{}", last.error),
        None => match requested_action(seen) {
            Some(other) => bail!("another client requested {other:?} instead"),
            None => bail!("another client withdrew the request"),
        },
    }
}

/// Deletes the object and waits until the container is removed. `requested` says
/// whether the request was written to the API.
pub(super) async fn request_removal(
    api: &Api<Container>,
    id: &str,
    requested: &Cell<bool>,
) -> Result<()> {
    let Some(container) = api.get_opt(id).await.context("cannot read the container")? else {
        bail!("the container was removed in the meantime");
    };
    let uid = container.uid();
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: uid.clone(),
        resource_version: None,
    });
    match api.delete(id, &params).await {
        Ok(_) => requested.set(true),
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let is_over = |seen: Option<&Container>| {
        seen.is_none_or(|seen| seen.uid() != uid || removal_failure(seen).is_some())
    };
    let seen = await_condition(api.clone(), id, is_over)
        .await
        .context("cannot wait for the outcome; the request stands")?;
    match seen
        .as_ref()
        .filter(|seen| seen.uid() == uid)
        .and_then(removal_failure)
    {
        None => Ok(()),
        Some(reason) => bail!("{reason}; the request stands and is retried"),
    }
}

fn last_action(container: &Container) -> Option<LastAction> {
    container.status.as_ref()?.last_action.clone()
}

fn requested_action(container: &Container) -> Option<&str> {
    container
        .annotations()
        .get(ACTION_ANNOTATION)
        .map(String::as_str)
}

/// Returns the engine's message if it refused to remove the container.
fn removal_failure(container: &Container) -> Option<&str> {
    let conditions = &container.status.as_ref()?.conditions;
    conditions
        .iter()
        .find(|found| found.type_ == condition::DELETE_FAILED && found.status == "True")
        .map(|found| found.message.as_str())
}

#[cfg(test)]
mod tests {
    use rdd_api::{ContainerStatus, Time};

    use super::*;

    /// Returns the record of an action that completed at `second`.
    fn record(action: ActionName, state: ActionState, second: i64) -> LastAction {
        let at = Time(Timestamp::from_second(second).unwrap());
        let failed = state == ActionState::Failed;
        serde_json::from_value(json!({
            "action": action,
            "state": state,
            "error": if failed { "the engine's message" } else { "" },
            "observedAt": at,
            "completedAt": at,
        }))
        .unwrap()
    }

    fn seen(annotation: Option<&str>, last: Option<LastAction>) -> Container {
        let mut container = Container::new("id", rdd_api::ContainerFields::default());
        container.status = Some(ContainerStatus {
            last_action: last,
            ..ContainerStatus::default()
        });
        if let Some(value) = annotation {
            container
                .annotations_mut()
                .insert(ACTION_ANNOTATION.to_owned(), value.to_owned());
        }
        container
    }

    fn outcome_text(before: Option<LastAction>, seen: &Container) -> String {
        let requested_at = Timestamp::from_second(100).unwrap();
        match outcome(ActionName::Stop, before.as_ref(), seen, requested_at) {
            Ok(()) => "done".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_new_record_is_the_outcome() {
        let old = || Some(record(ActionName::Stop, ActionState::Succeeded, 60));
        let failed = record(ActionName::Stop, ActionState::Failed, 101);
        assert_eq!(
            outcome_text(old(), &seen(None, Some(failed))),
            "the engine's message"
        );
        let done = record(ActionName::Stop, ActionState::Succeeded, 101);
        assert_eq!(outcome_text(old(), &seen(None, Some(done.clone()))), "done");
        assert_eq!(outcome_text(None, &seen(Some("start"), Some(done))), "done");
    }

    #[test]
    fn an_equal_record_of_the_same_second_is_the_outcome() {
        let equal = || Some(record(ActionName::Stop, ActionState::Succeeded, 100));
        assert_eq!(outcome_text(equal(), &seen(None, equal())), "done");
    }

    #[test]
    fn the_record_of_an_earlier_equal_action_is_not_the_outcome() {
        let old = || Some(record(ActionName::Stop, ActionState::Succeeded, 60));
        let withdrawn = outcome_text(old(), &seen(None, old()));
        assert!(withdrawn.contains("withdrew"), "{withdrawn}");
        let replaced = outcome_text(old(), &seen(Some("start"), old()));
        assert!(replaced.contains("\"start\" instead"), "{replaced}");
        let other = record(ActionName::Start, ActionState::Succeeded, 101);
        let withdrawn = outcome_text(old(), &seen(None, Some(other)));
        assert!(withdrawn.contains("withdrew"), "{withdrawn}");
    }
}
