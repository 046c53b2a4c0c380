//! A client without sockets, and the objects that the tests share.

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use rdd_apiserver::{ApiServer, ApiServerOptions, ResponseBody, UserInfo};
pub(crate) use rdd_testkit::PATIENCE;
use rdd_testkit::eventually;
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

/// A response whose body was read.
pub(crate) struct ApiResponse {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body as JSON; null if it is something else.
    pub(crate) body: Value,
}

impl ApiResponse {
    /// Returns the status code and the reason of a `Status`.
    pub(crate) fn reason(&self) -> (u16, &str) {
        (self.code, self.body["reason"].as_str().unwrap_or_default())
    }

    /// Returns the resource version of an object or a list.
    pub(crate) fn resource_version(&self) -> u64 {
        self.body["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Returns the `Warning` headers.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.headers
            .get_all("warning")
            .iter()
            .map(|w| w.to_str().unwrap())
            .collect()
    }

    /// Returns the names of a list's items.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.body["items"]
            .as_array()
            .unwrap_or_else(|| panic!("not a list: {}", self.text))
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap())
            .collect()
    }
}

/// A client that calls the service directly, as `admin`.
#[derive(Clone)]
pub(crate) struct TestClient(pub(crate) ApiServer);

pub(crate) fn admin() -> UserInfo {
    UserInfo {
        name: "admin".into(),
        groups: vec!["system:masters".into()],
        ..UserInfo::default()
    }
}

pub(crate) fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned());
    UserInfo {
        name: name.to_owned(),
        groups: groups.chain(["system:authenticated".to_owned()]).collect(),
        ..UserInfo::default()
    }
}

impl TestClient {
    pub(crate) async fn new() -> Self {
        Self(
            ApiServer::open(ApiServerOptions::in_memory())
                .await
                .unwrap(),
        )
    }

    /// Sends a request and returns the response with its unread body.
    pub(crate) async fn send_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<ResponseBody> {
        self.send_raw_as(admin(), method, path, headers, body).await
    }

    async fn send_raw_as(
        &self,
        user: UserInfo,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<ResponseBody> {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("user-agent", "tests/1.0")
            .extension(user);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        tokio::time::timeout(PATIENCE, self.0.clone().oneshot(request))
            .await
            .expect("a response in time")
            .unwrap()
    }

    /// Sends a request.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> ApiResponse {
        read_response(self.send_raw(method, path, headers, body).await).await
    }

    /// Sends a request of another user, with JSON unless `headers` say otherwise.
    pub(crate) async fn send_as(
        &self,
        user: &UserInfo,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> ApiResponse {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let headers: &[(&str, &str)] = match headers {
            [] => &[("content-type", JSON)],
            headers => headers,
        };
        let response = self.send_raw_as(user.clone(), method, path, headers, body);
        read_response(response.await).await
    }

    /// Gets a path until the response is as expected.
    pub(crate) async fn wait_until(
        &self,
        path: &str,
        is_expected: impl Fn(&ApiResponse) -> bool,
    ) -> ApiResponse {
        eventually(path, || async {
            let response = self.get(path).await;
            if is_expected(&response) {
                Ok(response)
            } else {
                Err(response.text)
            }
        })
        .await
    }

    /// Gets a path until it is not found.
    pub(crate) async fn wait_until_gone(&self, path: &str) {
        self.wait_until(path, |response| response.code == 404).await;
    }

    pub(crate) async fn get(&self, path: &str) -> ApiResponse {
        self.send("GET", path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> ApiResponse {
        self.send("POST", path, &[("content-type", JSON)], body.to_string())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> ApiResponse {
        self.send("PUT", path, &[("content-type", JSON)], body.to_string())
            .await
    }

    pub(crate) async fn patch(&self, path: &str, media_type: &str, body: &Value) -> ApiResponse {
        self.send(
            "PATCH",
            path,
            &[("content-type", media_type)],
            body.to_string(),
        )
        .await
    }

    pub(crate) async fn delete(&self, path: &str) -> ApiResponse {
        self.send("DELETE", path, &[], Bytes::new()).await
    }

    /// Creates the definition of widgets with one version.
    pub(crate) async fn define_widgets(&self, version: Value) -> ApiResponse {
        let response = self.post(DEFINITIONS, &widget_definition(version)).await;
        assert_eq!(response.code, 201, "{}", response.text);
        response
    }

    /// Starts a watch.
    pub(crate) async fn watch(&self, path: &str) -> WatchLines {
        let response = self.send_raw("GET", path, &[], Bytes::new()).await;
        WatchLines {
            code: response.status().as_u16(),
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }
}

/// Reads the body of a response.
pub(crate) async fn read_response(response: http::Response<ResponseBody>) -> ApiResponse {
    let (parts, body) = response.into_parts();
    let bytes = tokio::time::timeout(PATIENCE, body.collect())
        .await
        .expect("a whole body in time")
        .unwrap()
        .to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    ApiResponse {
        code: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

/// The events of a watch.
pub(crate) struct WatchLines {
    pub(crate) code: u16,
    body: ResponseBody,
    buffer: Vec<u8>,
}

impl WatchLines {
    /// Returns the next event; `None` at the end of the watch.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .expect("an event in time")?
                .unwrap();
            self.buffer.extend_from_slice(&frame.into_data().unwrap());
        }
    }

    /// Returns the type of the next event and the name of its object.
    pub(crate) async fn next_type_and_name(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&event["type"]),
            text(&event["object"]["metadata"]["name"]),
        )
    }
}

pub(crate) fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "1"}})
}

pub(crate) fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

/// Returns the definition of widgets with one version `v1`, which is served and
/// stored.
pub(crate) fn widget_definition(mut version: Value) -> Value {
    version["name"] = "v1".into();
    version["served"] = true.into();
    version["storage"] = true.into();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wg"]},
            "versions": [version],
        },
    })
}

/// Returns a version with a size and a color in its spec, a status without a schema,
/// and the status subresource.
pub(crate) fn sized_version() -> Value {
    json!({
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".spec.color"}],
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer", "minimum": 1},
                "color": {"type": "string", "default": "red"},
            }},
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }}},
    })
}
