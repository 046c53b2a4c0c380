//! Tests of the admission policies of `rdd-api` in the embedded API server.

use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use rdd_api::{
    ACTION_ANNOTATION, ActionName, ActionState, App, Container, ContainerState, FIELD_MANAGER,
    ImagePushRequest, PART_OF_LABEL, VolumeCreateRequest,
};
use rdd_testkit::{FakeEngine, eventually};
use serde_json::{Value, json};

use crate::test_mirror::{TestMirror, status};

/// The label that the tests write.
const LABEL: &str = "test.example/label";

fn dry_run() -> PatchParams {
    PatchParams {
        dry_run: true,
        ..PatchParams::default()
    }
}

fn annotations(action: &str) -> Value {
    json!({"metadata": {"annotations": {ACTION_ANNOTATION: action}}})
}

/// Returns the message of a refusal.
fn refusal<T: Debug>(result: kube::Result<T>) -> String {
    match result {
        Err(kube::Error::Api(status)) if status.code == 422 => status.message.clone(),
        other => panic!("not refused by a policy: {other:?}"),
    }
}

/// Tries to request an action; changes nothing.
async fn try_action(mirror: &TestMirror, id: &str, action: &str) -> kube::Result<Container> {
    let api = mirror.api::<Container>();
    let patch = Patch::Merge(annotations(action));
    api.patch(id, &dry_run(), &patch).await
}

/// Installs the policies and waits until they are in force.
async fn install_policies(mirror: &TestMirror, id: &str) {
    rdd_mirror::apply_policies(&mirror.client).await.unwrap();
    let requests: Api<ImagePushRequest> = mirror.api();
    let spec = |tag: &str| json!({"metadata": {"name": "probe"}, "spec": {"image": tag}});
    let probe: ImagePushRequest = serde_json::from_value(spec("a:1")).unwrap();
    requests
        .create(&PostParams::default(), &probe)
        .await
        .unwrap();
    eventually("the policies to be in force", || async {
        let change = Patch::Merge(spec("a:2"));
        match (
            try_action(mirror, id, "probe").await,
            requests.patch("probe", &dry_run(), &change).await,
        ) {
            (Err(_), Err(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_actions_are_admitted_in_the_annotation() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    install_policies(&mirror, &id).await;

    let long = "x".repeat(1000);
    for (value, shown) in [
        ("explode", "explode"),
        ("Pause", "Pause"),
        ("stop ", "stop "),
        ("", ""),
        ("two\nlines", "two lines"),
        (long.as_str(), &long[..64]),
    ] {
        let message = refusal(try_action(&mirror, &id, value).await);
        let wanted = format!("invalid containers.rancherdesktop.io/action annotation \"{shown}\"");
        assert!(message.ends_with(&wanted), "{message}");
    }
    for action in ActionName::ALL {
        try_action(&mirror, &id, action.as_str()).await.unwrap();
    }
    // The other verbs that write.
    let api = mirror.api::<Container>();
    let mut changed = api.get(&id).await.unwrap();
    changed
        .annotations_mut()
        .insert(ACTION_ANNOTATION.to_owned(), "explode".to_owned());
    refusal(api.replace(&id, &PostParams::default(), &changed).await);
    let applied = json!({
        "apiVersion": "containers.rancherdesktop.io/v1alpha1", "kind": "Container",
        "metadata": {"annotations": {ACTION_ANNOTATION: "explode"}},
    });
    let params = PatchParams::apply("test");
    refusal(api.patch(&id, &params, &Patch::Apply(applied)).await);
    // Through the status, nothing but the status can be written.
    let patch = Patch::Merge(annotations("explode"));
    let params = PatchParams::default();
    let written = api.patch_status(&id, &params, &patch).await.unwrap();
    assert_eq!(written.annotations().get(ACTION_ANNOTATION), None);
    assert_eq!(engine.calls(), []);

    // The daemon's own writes, from the claim to the outcome.
    mirror.annotate(&id, "pause").await;
    let done = mirror
        .wait_for_container(&id, |c| {
            status(c).status == ContainerState::Paused && status(c).last_action.is_some()
        })
        .await;
    let outcome = status(&done).last_action.clone().unwrap();
    assert_eq!(outcome.state, ActionState::Succeeded, "{outcome:?}");
    mirror
        .wait_for_container(&id, |c| c.annotations().is_empty())
        .await;
    api.delete(&id, &DeleteParams::default()).await.unwrap();
    mirror.wait_until_gone::<Container>(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_action_is_admitted_on_create() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    install_policies(&mirror, &id).await;
    let api = mirror.api::<Container>();
    let container = |annotations: Value| {
        json!({
            "apiVersion": "containers.rancherdesktop.io/v1alpha1", "kind": "Container",
            "metadata": {"name": "mine", "annotations": annotations},
        })
    };
    for action in ["stop", "explode"] {
        let object = container(json!({ACTION_ANNOTATION: action}));
        let params = PatchParams::apply("test");
        let messages = [
            refusal(api.patch("mine", &params, &Patch::Apply(&object)).await),
            refusal(
                api.create(
                    &PostParams::default(),
                    &serde_json::from_value(object).unwrap(),
                )
                .await,
            ),
        ];
        for message in messages {
            assert!(
                message.ends_with("containers.rancherdesktop.io/action is not allowed on create"),
                "{message}"
            );
        }
    }
    let object = serde_json::from_value(container(json!({"test.example/note": "x"}))).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_action_that_is_older_than_the_policy_does_not_block_other_writes() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    // Nobody drops the annotation of an object that is not a mirror.
    let api = mirror.api::<Container>();
    let object = serde_json::from_value(json!({
        "metadata": {"name": "mine", "annotations": {ACTION_ANNOTATION: "explode"}},
    }));
    let object: Container = object.unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    install_policies(&mirror, &id).await;
    let params = PatchParams::default();
    let label = json!({"metadata": {"labels": {LABEL: "x"}}});
    api.patch("mine", &params, &Patch::Merge(label))
        .await
        .unwrap();
    refusal(try_action(&mirror, "mine", "implode").await);
    let removal = json!({"metadata": {"annotations": {ACTION_ANNOTATION: null}}});
    api.patch("mine", &params, &Patch::Merge(removal))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_cannot_be_changed() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    install_policies(&mirror, &id).await;
    let params = PatchParams::default();

    let requests: Api<VolumeCreateRequest> = mirror.api();
    let request = serde_json::from_value(json!({
        "metadata": {"name": "r"},
        "spec": {"name": "v", "labels": {"a": "b"}},
    }));
    let request: VolumeCreateRequest = request.unwrap();
    requests
        .create(&PostParams::default(), &request)
        .await
        .unwrap();
    for change in [
        json!({"name": "w"}),
        json!({"labels": {"a": "c"}}),
        json!({"labels": null}),
        json!({"driver": "local"}),
        json!({"ttlSecondsAfterFinished": 60}),
    ] {
        let patch = Patch::Merge(json!({"spec": change}));
        let message = refusal(requests.patch("r", &params, &patch).await);
        assert!(message.ends_with("spec is immutable"), "{message}");
    }
    let same = json!({"metadata": {"labels": {LABEL: "x"}}, "spec": {"name": "v"}});
    requests
        .patch("r", &params, &Patch::Merge(same))
        .await
        .unwrap();
    let progress = json!({"status": {"name": "v"}});
    let progress = Patch::Merge(progress);
    requests
        .patch_status("r", &params, &progress)
        .await
        .unwrap();
    let deletion = DeleteParams::default();
    requests.delete("r", &deletion).await.unwrap();

    // A mirror has no spec: the server removes it before any policy sees it.
    let patch = Patch::Merge(json!({"spec": {"image": "other"}}));
    let api = mirror.api::<Container>();
    let before = api.get(&id).await.unwrap();
    let after = api.patch(&id, &params, &patch).await.unwrap();
    assert_eq!(after.resource_version(), before.resource_version());

    let apps: Api<App> = Api::all(mirror.client.clone());
    let patch = Patch::Merge(json!({"spec": {"namespace": "other"}}));
    let message = refusal(apps.patch("app", &params, &patch).await);
    assert!(message.contains("spec.namespace is immutable"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_kept_up_to_date_and_those_of_others_are_left_alone() {
    let mirror = TestMirror::new(&FakeEngine::default()).await;
    let client = &mirror.client;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let [actions, requests] = ["container-actions", "immutable-requests"]
        .map(|name| format!("{name}.containers.rancherdesktop.io"));
    // Somebody else's, without a binding.
    let foreign = serde_json::from_value(json!({
        "metadata": {"name": requests},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": "true"}],
        },
    }));
    let foreign: ValidatingAdmissionPolicy = foreign.unwrap();
    let foreign = policies
        .create(&PostParams::default(), &foreign)
        .await
        .unwrap();
    let versions = || async {
        let mut versions = Vec::new();
        versions.push(policies.get(&actions).await.unwrap().metadata.generation);
        versions.push(policies.get(&requests).await.unwrap().metadata.generation);
        let binding = bindings.get(&actions).await.unwrap();
        (versions, binding.resource_version())
    };
    rdd_mirror::apply_policies(client).await.unwrap();
    let first = versions().await;
    rdd_mirror::apply_policies(client).await.unwrap();
    assert_eq!(versions().await, first);
    let kept = policies.get(&requests).await.unwrap();
    assert_eq!(kept.spec, foreign.spec);
    assert_eq!(bindings.get_opt(&requests).await.unwrap(), None);

    // What others change is changed back.
    let warn = Patch::Merge(json!({"spec": {"validationActions": ["Warn"]}}));
    let params = PatchParams::default();
    bindings.patch(&actions, &params, &warn).await.unwrap();
    let actions_of =
        |binding: ValidatingAdmissionPolicyBinding| binding.spec.unwrap().validation_actions;
    rdd_mirror::apply_policies(client).await.unwrap();
    let restored = bindings.get(&actions).await.unwrap();
    assert_eq!(actions_of(restored), Some(vec!["Deny".to_owned()]));
    // What was deleted is created again.
    policies
        .delete(&actions, &DeleteParams::default())
        .await
        .unwrap();
    rdd_mirror::apply_policies(client).await.unwrap();
    let created = policies.get(&actions).await.unwrap();
    let managers: Vec<_> = created
        .managed_fields()
        .iter()
        .map(|it| it.manager.as_deref())
        .collect();
    assert!(managers.contains(&Some(FIELD_MANAGER)), "{managers:?}");
    // Without the label, it belongs to whoever removed it.
    let mine = Patch::Merge(json!({
        "metadata": {"labels": {PART_OF_LABEL: null}},
        "spec": {"validationActions": ["Warn"]},
    }));
    bindings.patch(&actions, &params, &mine).await.unwrap();
    rdd_mirror::apply_policies(client).await.unwrap();
    let kept = bindings.get(&actions).await.unwrap();
    assert_eq!(actions_of(kept), Some(vec!["Warn".to_owned()]));
}
