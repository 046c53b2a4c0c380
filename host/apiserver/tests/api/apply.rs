use serde_json::json;

use crate::client::{APPLY, CMS, Client, WIDGETS, config_map, sized, widget};

#[tokio::test]
async fn managers_own_what_they_apply_and_conflict_over_it() {
    let client = Client::new().await;
    let path = |manager: &str, more: &str| format!("{CMS}/a?fieldManager={manager}{more}");
    let apply = |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}});
    let made = client.patch(&path("one", ""), APPLY, &apply("1")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    assert_eq!(made.body["metadata"]["managedFields"][0]["manager"], "one");
    assert_eq!(
        client
            .patch(&path("one", ""), APPLY, &apply("1"))
            .await
            .rv(),
        made.rv()
    );
    let refused = client.patch(&path("two", ""), APPLY, &apply("2")).await;
    assert_eq!(refused.reason(), (409, "Conflict"));
    assert_eq!(
        refused.body["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"", "field": ".data.k"}])
    );
    let forced = client
        .patch(&path("two", "&force=true"), APPLY, &apply("2"))
        .await;
    assert_eq!((forced.code, &forced.body["data"]["k"]), (200, &json!("2")));
    assert_eq!(
        client
            .patch(&format!("{CMS}/a"), APPLY, &apply("3"))
            .await
            .reason(),
        (422, "Invalid")
    );
}

#[tokio::test]
async fn what_is_applied_no_longer_goes_away() {
    let client = Client::new().await;
    client.widgets(sized()).await;
    let path = format!("{WIDGETS}/w?fieldManager=one");
    client
        .patch(
            &path,
            APPLY,
            &widget("w", json!({"size": 1, "colour": "blue"})),
        )
        .await;
    let less = client
        .patch(&path, APPLY, &widget("w", json!({"size": 1})))
        .await;
    assert_eq!(less.body["spec"], json!({"size": 1, "colour": "red"}));
    let undeclared = client
        .patch(&path, APPLY, &widget("w", json!({"nope": 1})))
        .await;
    assert_eq!(undeclared.code, 500);
    let other = client
        .patch(
            &format!("{WIDGETS}/x?fieldManager=one"),
            APPLY,
            &widget("w", json!({})),
        )
        .await;
    assert_eq!(other.reason(), (400, "BadRequest"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_apply_what_does_not_exist_yet() {
    let client = Client::new().await;
    let applies = (0..16).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            let path = format!("{CMS}/a?fieldManager=m{writer}");
            let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {format!("k{writer}"): "v"}});
            let answer = client.patch(&path, APPLY, &body).await;
            assert!(matches!(answer.code, 200 | 201), "{}", answer.text);
        })
    });
    for applied in applies.collect::<Vec<_>>() {
        applied.await.unwrap();
    }
    let all = client.get(&format!("{CMS}/a")).await;
    assert_eq!(all.body["data"].as_object().unwrap().len(), 16);
}

#[tokio::test]
async fn the_status_of_nothing_cannot_be_applied() {
    let client = Client::new().await;
    client.widgets(sized()).await;
    let path = format!("{WIDGETS}/w/status?fieldManager=one");
    let answer = client.patch(&path, APPLY, &widget("w", json!({}))).await;
    assert_eq!(answer.reason(), (404, "NotFound"));
}

#[tokio::test]
async fn updates_are_tracked_under_the_client_s_name() {
    let client = Client::new().await;
    let made = client.post(CMS, &config_map("a")).await;
    let entry = &made.body["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["manager"], &entry["operation"]),
        (&json!("tests"), &json!("Update"))
    );
    assert_eq!(entry["fieldsV1"]["f:data"]["f:k"], json!({}));
}
