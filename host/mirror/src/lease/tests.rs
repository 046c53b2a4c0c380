//! Tests of leader election with a paused clock and a scripted API.

use std::convert::Infallible;
use std::sync::Mutex;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::fixtures::{refusal, response};

const NAME: &str = "rd.moby";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/rdd-system/leases";
const TIMING: LeaseTiming = LeaseTiming {
    duration: Duration::from_secs(30),
    renew_deadline: Duration::from_secs(20),
    renew_interval: Duration::from_secs(10),
    retry_interval: Duration::from_secs(2),
};

/// A timeout longer than any wait in these tests. The clock is paused.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The behavior of the fake API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Healthy,
    /// It refuses every request.
    Failing,
    /// It accepts requests and never responds.
    Hanging,
}

/// An API with at most one namespace and one Lease.
struct FakeApi {
    health: Mutex<Health>,
    has_namespace: Mutex<bool>,
    lease: Mutex<Option<Value>>,
    version: Mutex<u64>,
    /// Method and arrival time of each request.
    requests: Mutex<Vec<(Method, Instant)>>,
}

impl FakeApi {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            health: Mutex::new(Health::Healthy),
            has_namespace: Mutex::new(true),
            lease: Mutex::new(None),
            version: Mutex::new(0),
            requests: Mutex::default(),
        })
    }

    fn set_health(&self, health: Health) {
        *self.health.lock().unwrap() = health;
    }

    /// Stores the Lease as `holder` would write it.
    fn set_holder(&self, holder: &str) {
        self.store(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": NAME, "namespace": SYSTEM_NAMESPACE},
            "spec": {
                "holderIdentity": holder, "leaseDurationSeconds": 30, "leaseTransitions": 4,
                "acquireTime": "2000-01-01T00:00:00.000000Z",
            },
        }));
    }

    fn store(&self, mut lease: Value) -> Value {
        let mut version = self.version.lock().unwrap();
        *version += 1;
        lease["metadata"]["resourceVersion"] = version.to_string().into();
        *self.lease.lock().unwrap() = Some(lease.clone());
        lease
    }

    fn spec(&self) -> Value {
        self.lease.lock().unwrap().as_ref().unwrap()["spec"].clone()
    }

    /// Returns the arrival times of the requests with this method since the
    /// last call.
    fn requests(&self, method: &Method) -> Vec<Instant> {
        let mut requests = self.requests.lock().unwrap();
        let of_method = requests.iter().filter(|(is, _)| is == method);
        let found = of_method.map(|(_, at)| *at).collect();
        requests.clear();
        found
    }

    async fn respond(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let arrival = (parts.method.clone(), Instant::now());
        self.requests.lock().unwrap().push(arrival);
        let health = *self.health.lock().unwrap();
        match health {
            Health::Healthy => {}
            Health::Failing => return Ok(refusal(500)),
            Health::Hanging => std::future::pending().await,
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let path = parts.uri.path().trim_end_matches('/');
        Ok(self.serve(&parts.method, path, body))
    }

    fn serve(&self, method: &Method, path: &str, body: Value) -> Response<Body> {
        let mut has_namespace = self.has_namespace.lock().unwrap();
        if path.starts_with("/api/v1/namespaces") {
            if *method == Method::POST {
                assert_eq!(body["metadata"]["name"], SYSTEM_NAMESPACE);
                *has_namespace = true;
                return response(StatusCode::CREATED, &body);
            }
            assert!(
                !*has_namespace,
                "the namespace must be read only if it is missing"
            );
            return refusal(404);
        }
        assert!(path.starts_with(LEASES), "{path}");
        let found = self.lease.lock().unwrap().clone();
        match (method.as_str(), found) {
            ("GET", Some(lease)) => response(StatusCode::OK, &lease),
            ("POST", None) if *has_namespace => response(StatusCode::CREATED, &self.store(body)),
            ("PUT", Some(lease)) => {
                let version = &body["metadata"]["resourceVersion"];
                assert!(
                    version.is_string(),
                    "the update must be conditional on the version: {body}"
                );
                if *version != lease["metadata"]["resourceVersion"] {
                    return refusal(409);
                }
                response(StatusCode::OK, &self.store(body))
            }
            ("POST", Some(_)) => refusal(409),
            _ => refusal(404),
        }
    }
}

/// Starts acquiring the Lease in this API.
fn start(api: &Arc<FakeApi>) -> LeaseTask {
    let served = Arc::clone(api);
    let service = tower::service_fn(move |request| Arc::clone(&served).respond(request));
    let scope = LeaseScope {
        namespace: "rd".into(),
        backend: "moby".into(),
    };
    let start_time = Instant::now();
    LeaseTask::start(
        Client::new(service, SYSTEM_NAMESPACE),
        scope,
        &InstanceId::parse("me").unwrap(),
        TIMING,
        Arc::new(move || {
            let elapsed = i64::try_from(start_time.elapsed().as_secs()).unwrap();
            Timestamp::from_second(elapsed).unwrap()
        }),
    )
}

/// Returns the next state and its time.
async fn next(task: &mut LeaseTask) -> (LeaseState, Instant) {
    let changed = timeout(PATIENCE, task.handle.changed()).await;
    assert_eq!(changed, Ok(true), "the task must not end");
    (task.handle.0.borrow_and_update().clone(), Instant::now())
}

fn held(until: Instant) -> LeaseState {
    LeaseState::Held { until }
}

fn held_by(holder: &str) -> LeaseState {
    LeaseState::HeldBy {
        holder: holder.into(),
    }
}

fn unknown_reason(state: &LeaseState) -> &str {
    match state {
        LeaseState::Unknown {
            reason: Some(reason),
        } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_created_and_renewed_until_the_task_is_dropped() {
    let api = FakeApi::new();
    let start_time = Instant::now();
    let mut task = start(&api);
    assert!(!task.handle.is_held());
    let (state, _) = next(&mut task).await;
    assert_eq!(state, held(start_time + TIMING.renew_deadline));
    assert!(task.handle.is_held());
    for renewal in 1..=5 {
        let at = start_time + renewal * TIMING.renew_interval;
        let (state, changed_at) = next(&mut task).await;
        assert_eq!((state, changed_at), (held(at + TIMING.renew_deadline), at));
        let spec = api.spec();
        assert_eq!(spec["holderIdentity"], "me");
        assert_eq!(spec["leaseDurationSeconds"], 30);
        assert_eq!(spec["leaseTransitions"], 0);
        assert_eq!(spec["acquireTime"], "1970-01-01T00:00:00.000000Z");
        let renewed = format!("1970-01-01T00:00:{}.000000Z", 10 * renewal);
        assert_eq!(spec["renewTime"], renewed);
    }
    api.requests(&Method::PUT);
    drop(task);
    sleep(10 * TIMING.renew_interval).await;
    assert_eq!(
        api.requests(&Method::GET),
        [],
        "the task must stop renewing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_namespace_of_leases_is_created() {
    let api = FakeApi::new();
    *api.has_namespace.lock().unwrap() = false;
    let start_time = Instant::now();
    let mut task = start(&api);
    let (state, changed_at) = next(&mut task).await;
    assert_eq!(
        (state, changed_at),
        (held(start_time + TIMING.renew_deadline), start_time)
    );
    assert_eq!(api.spec()["holderIdentity"], "me");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_at_its_deadline_and_recovers() {
    let api = FakeApi::new();
    let start_time = Instant::now();
    let mut task = start(&api);
    next(&mut task).await;
    next(&mut task).await;
    api.set_health(Health::Failing);
    api.requests(&Method::GET);
    let renewed = start_time + TIMING.renew_interval;
    let deadline = renewed + TIMING.renew_deadline;
    // Failed retries do not change the state before the deadline.
    let handle = task.handle.clone();
    let (state, changed_at) = next(&mut task).await;
    assert!(unknown_reason(&state).contains("it failed"), "{state:?}");
    assert_eq!(changed_at, deadline);
    assert!(!handle.is_held());
    let attempts = api.requests(&Method::GET);
    assert_eq!(attempts[0], renewed + TIMING.renew_interval);
    for pair in attempts.windows(2) {
        assert_eq!(pair[1] - pair[0], TIMING.retry_interval);
    }
    assert!(attempts.len() >= 5, "{attempts:?}");
    // It keeps retrying and acquires the Lease as soon as possible.
    sleep(10 * TIMING.retry_interval).await;
    assert!(!task.handle.is_held());
    api.set_health(Health::Healthy);
    let healthy_at = Instant::now();
    let (state, changed_at) = next(&mut task).await;
    assert_eq!(state, held(changed_at + TIMING.renew_deadline));
    assert!(changed_at - healthy_at <= TIMING.retry_interval);
    assert_eq!(api.spec()["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_few_failed_renewals_do_not_change_the_state() {
    let api = FakeApi::new();
    let start_time = Instant::now();
    let mut task = start(&api);
    next(&mut task).await;
    api.set_health(Health::Failing);
    let recovers = start_time + TIMING.renew_interval + 2 * TIMING.retry_interval;
    tokio::time::sleep_until(recovers - Duration::from_secs(1)).await;
    assert!(task.handle.is_held());
    api.set_health(Health::Healthy);
    let (state, changed_at) = next(&mut task).await;
    assert_eq!(
        (state, changed_at),
        (held(recovers + TIMING.renew_deadline), recovers)
    );
}

#[tokio::test(start_paused = true)]
async fn a_hanging_api_is_waited_for_until_the_deadline() {
    let api = FakeApi::new();
    api.set_health(Health::Hanging);
    let start_time = Instant::now();
    let mut task = start(&api);
    let (state, changed_at) = next(&mut task).await;
    assert!(
        unknown_reason(&state).contains("does not respond"),
        "{state:?}"
    );
    assert_eq!(changed_at, start_time + TIMING.renew_deadline);

    api.set_health(Health::Healthy);
    let (state, held_at) = next(&mut task).await;
    assert_eq!(state, held(held_at + TIMING.renew_deadline));
    // A hanging request does not extend the time for which the Lease is held.
    api.set_health(Health::Hanging);
    let (state, changed_at) = next(&mut task).await;
    assert!(
        unknown_reason(&state).contains("does not respond"),
        "{state:?}"
    );
    assert_eq!(changed_at, held_at + TIMING.renew_deadline);
    assert!(!task.handle.is_held());
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_another_instance_is_taken_over_when_it_has_expired() {
    let api = FakeApi::new();
    api.set_holder("other");
    let mut task = start(&api);
    let (state, start_time) = next(&mut task).await;
    assert_eq!(state, held_by("other"));
    // The holder renews it once.
    let renewal = start_time + Duration::from_secs(25);
    tokio::time::sleep_until(renewal).await;
    api.set_holder("other");
    let (state, changed_at) = next(&mut task).await;
    assert_eq!(state, held(changed_at + TIMING.renew_deadline));
    let waited = changed_at - renewal;
    assert!(
        (TIMING.duration..=TIMING.duration + TIMING.renew_interval).contains(&waited),
        "{waited:?}"
    );
    let spec = api.spec();
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseTransitions"]),
        (&json!("me"), &json!(5))
    );
    assert_eq!(spec["acquireTime"], spec["renewTime"]);
    // A third instance takes it.
    api.set_holder("third");
    let (state, lost_at) = next(&mut task).await;
    assert_eq!(state, held_by("third"));
    assert!(lost_at - changed_at <= TIMING.renew_interval);
    assert!(!task.handle.is_held());
}
