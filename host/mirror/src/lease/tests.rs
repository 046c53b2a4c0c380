//! The Lease held over time, on a clock that the test moves and an API that is
//! scripted.

use std::convert::Infallible;
use std::sync::Mutex;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::fixtures::{answered, refused};

const NAME: &str = "rd.moby";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/rdd-system/leases";
const TIMING: LeaseTiming = LeaseTiming {
    duration: Duration::from_secs(30),
    renew_deadline: Duration::from_secs(20),
    renew_interval: Duration::from_secs(10),
    retry_interval: Duration::from_secs(2),
};

/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How the API fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// It refuses everything.
    Failing,
    /// It takes requests and answers none.
    Silent,
}

/// An API that has one namespace and one Lease at the most.
struct FakeApi {
    health: Mutex<Health>,
    has_namespace: Mutex<bool>,
    lease: Mutex<Option<Value>>,
    version: Mutex<u64>,
    /// Methods, and when they came.
    requests: Mutex<Vec<(Method, Instant)>>,
}

impl FakeApi {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            health: Mutex::new(Health::Well),
            has_namespace: Mutex::new(true),
            lease: Mutex::new(None),
            version: Mutex::new(0),
            requests: Mutex::default(),
        })
    }

    fn fares(&self, health: Health) {
        *self.health.lock().unwrap() = health;
    }

    /// The Lease as `holder` writes it.
    fn held_by(&self, holder: &str) {
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

    /// When requests of this method came, since this was asked last.
    fn requests(&self, method: &Method) -> Vec<Instant> {
        let mut requests = self.requests.lock().unwrap();
        let of_method = requests.iter().filter(|(is, _)| is == method);
        let found = of_method.map(|(_, at)| *at).collect();
        requests.clear();
        found
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let came = (parts.method.clone(), Instant::now());
        self.requests.lock().unwrap().push(came);
        let health = *self.health.lock().unwrap();
        match health {
            Health::Well => {}
            Health::Failing => return Ok(refused(500)),
            Health::Silent => std::future::pending().await,
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
                return answered(StatusCode::CREATED, &body);
            }
            assert!(!*has_namespace, "asked for once, when it is missing");
            return refused(404);
        }
        assert!(path.starts_with(LEASES), "{path}");
        let found = self.lease.lock().unwrap().clone();
        match (method.as_str(), found) {
            ("GET", Some(lease)) => answered(StatusCode::OK, &lease),
            ("POST", None) if *has_namespace => answered(StatusCode::CREATED, &self.store(body)),
            ("PUT", Some(lease)) => {
                let version = &body["metadata"]["resourceVersion"];
                assert!(
                    version.is_string(),
                    "over the version that was read: {body}"
                );
                if *version != lease["metadata"]["resourceVersion"] {
                    return refused(409);
                }
                answered(StatusCode::OK, &self.store(body))
            }
            ("POST", Some(_)) => refused(409),
            _ => refused(404),
        }
    }
}

/// Begins to hold the Lease on this API.
fn start(api: &Arc<FakeApi>) -> LeaseTask {
    let served = Arc::clone(api);
    let service = tower::service_fn(move |request| Arc::clone(&served).answer(request));
    let scope = LeaseScope {
        namespace: "rd".into(),
        backend: "moby".into(),
    };
    let begun = Instant::now();
    LeaseTask::start(
        Client::new(service, SYSTEM_NAMESPACE),
        scope,
        &InstanceId::parse("me").unwrap(),
        TIMING,
        Arc::new(move || {
            let elapsed = i64::try_from(begun.elapsed().as_secs()).unwrap();
            Timestamp::from_second(elapsed).unwrap()
        }),
    )
}

/// The state that follows, and when it came.
async fn next(task: &mut LeaseTask) -> (LeaseState, Instant) {
    let changed = timeout(PATIENCE, task.handle.changed()).await;
    assert_eq!(changed, Ok(true), "it goes on");
    (task.handle.0.borrow_and_update().clone(), Instant::now())
}

fn held(until: Instant) -> LeaseState {
    LeaseState::Held { until }
}

fn by(holder: &str) -> LeaseState {
    LeaseState::HeldBy {
        holder: holder.into(),
    }
}

fn unknown(state: &LeaseState) -> &str {
    match state {
        LeaseState::Unknown {
            reason: Some(reason),
        } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_free_is_made_and_renewed_for_as_long_as_it_is_wanted() {
    let api = FakeApi::new();
    let begun = Instant::now();
    let mut task = start(&api);
    assert!(!task.handle.is_held());
    let (state, _) = next(&mut task).await;
    assert_eq!(state, held(begun + TIMING.renew_deadline));
    assert!(task.handle.is_held());
    for renewal in 1..=5 {
        let at = begun + renewal * TIMING.renew_interval;
        let (state, came) = next(&mut task).await;
        assert_eq!((state, came), (held(at + TIMING.renew_deadline), at));
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
    assert_eq!(api.requests(&Method::GET), [], "nobody wants it any more");
}

#[tokio::test(start_paused = true)]
async fn the_namespace_of_leases_is_made_where_it_is_missing() {
    let api = FakeApi::new();
    *api.has_namespace.lock().unwrap() = false;
    let begun = Instant::now();
    let mut task = start(&api);
    let (state, came) = next(&mut task).await;
    assert_eq!((state, came), (held(begun + TIMING.renew_deadline), begun));
    assert_eq!(api.spec()["holderIdentity"], "me");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_at_its_deadline_and_recovers() {
    let api = FakeApi::new();
    let begun = Instant::now();
    let mut task = start(&api);
    next(&mut task).await;
    next(&mut task).await;
    api.fares(Health::Failing);
    api.requests(&Method::GET);
    let renewed = begun + TIMING.renew_interval;
    let deadline = renewed + TIMING.renew_deadline;
    // As often as it is tried: a retry that fails changes nothing.
    let handle = task.handle.clone();
    let (state, came) = next(&mut task).await;
    assert!(unknown(&state).contains("it failed"), "{state:?}");
    assert_eq!(came, deadline);
    assert!(!handle.is_held());
    let tries = api.requests(&Method::GET);
    assert_eq!(tries[0], renewed + TIMING.renew_interval);
    for pair in tries.windows(2) {
        assert_eq!(pair[1] - pair[0], TIMING.retry_interval);
    }
    assert!(tries.len() >= 5, "{tries:?}");
    // It goes on trying, and has it again as soon as it can be had.
    sleep(10 * TIMING.retry_interval).await;
    assert!(!task.handle.is_held());
    api.fares(Health::Well);
    let well = Instant::now();
    let (state, came) = next(&mut task).await;
    assert_eq!(state, held(came + TIMING.renew_deadline));
    assert!(came - well <= TIMING.retry_interval);
    assert_eq!(api.spec()["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_or_two_are_nothing_to_anybody() {
    let api = FakeApi::new();
    let begun = Instant::now();
    let mut task = start(&api);
    next(&mut task).await;
    api.fares(Health::Failing);
    let recovers = begun + TIMING.renew_interval + 2 * TIMING.retry_interval;
    tokio::time::sleep_until(recovers - Duration::from_secs(1)).await;
    assert!(task.handle.is_held());
    api.fares(Health::Well);
    let (state, came) = next(&mut task).await;
    assert_eq!(
        (state, came),
        (held(recovers + TIMING.renew_deadline), recovers)
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_that_does_not_answer_is_waited_for_until_the_deadline() {
    let api = FakeApi::new();
    api.fares(Health::Silent);
    let begun = Instant::now();
    let mut task = start(&api);
    let (state, came) = next(&mut task).await;
    assert!(unknown(&state).contains("does not answer"), "{state:?}");
    assert_eq!(came, begun + TIMING.renew_deadline);

    api.fares(Health::Well);
    let (state, held_at) = next(&mut task).await;
    assert_eq!(state, held(held_at + TIMING.renew_deadline));
    // A request that hangs does not make it hold on for longer.
    api.fares(Health::Silent);
    let (state, came) = next(&mut task).await;
    assert!(unknown(&state).contains("does not answer"), "{state:?}");
    assert_eq!(came, held_at + TIMING.renew_deadline);
    assert!(!task.handle.is_held());
}

#[tokio::test(start_paused = true)]
async fn anothers_lease_is_waited_for_and_taken_over_when_it_is_over() {
    let api = FakeApi::new();
    api.held_by("other");
    let mut task = start(&api);
    let (state, begun) = next(&mut task).await;
    assert_eq!(state, by("other"));
    // It is renewed once.
    let renewal = begun + Duration::from_secs(25);
    tokio::time::sleep_until(renewal).await;
    api.held_by("other");
    let (state, came) = next(&mut task).await;
    assert_eq!(state, held(came + TIMING.renew_deadline));
    let waited = came - renewal;
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
    // And taken away again.
    api.held_by("third");
    let (state, lost_at) = next(&mut task).await;
    assert_eq!(state, by("third"));
    assert!(lost_at - came <= TIMING.renew_interval);
    assert!(!task.handle.is_held());
}
