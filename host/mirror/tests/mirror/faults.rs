//! Injected faults between the mirror controller and the API.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use serde_json::json;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::{BoxError, Service};

/// Maximum delay of a response in milliseconds: about the duration of a few
/// requests.
const MAX_DELAY_MS: u64 = 20;

/// The faults of one client of the API. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct ApiFaults(Arc<Mutex<FaultScript>>);

#[derive(Default)]
struct FaultScript {
    rng: Option<fastrand::Rng>,
    /// Percentage of requests about single objects that fail.
    percent: u8,
    /// Whether the responses to the others are delayed.
    slow: bool,
    /// Number of requests about single objects.
    requests: usize,
    /// Number of those about Leases.
    lease_requests: usize,
    /// Number of checks for orphans.
    prune_checks: usize,
    interrupt: CancellationToken,
    /// Number of watches that are still to fail with 410.
    expired: usize,
    /// The part of the paths whose watches are frozen, and the tasks that wait for them.
    frozen: Option<&'static str>,
    waiting: Vec<Waker>,
}

/// The outcome of a request.
enum RequestOutcome {
    Passes,
    Refused(StatusCode, &'static str),
    /// It is carried out, but the response is lost.
    Lost,
    /// It is carried out, but the response is delayed.
    Late(Duration),
}

impl ApiFaults {
    fn lock(&self) -> MutexGuard<'_, FaultScript> {
        self.0.lock().unwrap()
    }

    /// Makes this percentage of requests about single objects fail, each in a
    /// way that depends on `seed`.
    pub(crate) fn fail(&self, percent: u8, seed: u64) {
        let mut script = self.lock();
        script.percent = percent;
        script.rng = Some(fastrand::Rng::with_seed(seed));
    }

    /// Delays responses about single objects by a time that depends on `seed`.
    pub(crate) fn slow_down(&self, seed: u64) {
        let mut script = self.lock();
        script.slow = true;
        script.rng = Some(fastrand::Rng::with_seed(seed));
    }

    /// Ends all failures and delays.
    pub(crate) fn clear(&self) {
        let mut script = self.lock();
        script.percent = 0;
        script.slow = false;
    }

    /// Returns the number of requests about single objects.
    pub(crate) fn requests(&self) -> usize {
        self.lock().requests
    }

    /// Returns how many of [`ApiFaults::requests`] are about Leases.
    pub(crate) fn lease_requests(&self) -> usize {
        self.lock().lease_requests
    }

    /// Ends all running watches and fails the next `watches` ones, which must
    /// list again.
    pub(crate) fn expire_watches(&self, watches: usize) {
        let mut script = self.lock();
        script.expired = watches;
        std::mem::take(&mut script.interrupt).cancel();
    }

    /// Returns the number of checks for orphans, each of which is one or more
    /// lists.
    pub(crate) fn prune_checks(&self) -> usize {
        self.lock().prune_checks
    }

    /// Freezes the watches of mirrors. The watch of the App continues.
    pub(crate) fn freeze_watches(&self) {
        self.freeze_watches_of(rdd_api::CONTAINERS_GROUP);
    }

    /// Freezes the watches whose paths contain `part`.
    pub(crate) fn freeze_watches_of(&self, part: &'static str) {
        self.lock().frozen = Some(part);
    }

    /// Lets frozen watches deliver the events that were held back.
    pub(crate) fn thaw_watches(&self) {
        let mut script = self.lock();
        script.frozen = None;
        script.waiting.drain(..).for_each(Waker::wake);
    }

    /// Returns whether the watch of a path is frozen. If so, it is woken later.
    fn is_frozen(&self, path: &str, context: &Context<'_>) -> bool {
        let mut script = self.lock();
        let is_frozen = script.frozen.is_some_and(|part| path.contains(part));
        if is_frozen {
            script.waiting.push(context.waker().clone());
        }
        is_frozen
    }

    fn outcome(&self, request: &Request<kube::client::Body>) -> RequestOutcome {
        let query = request.uri().query().unwrap_or_default();
        let mut script = self.lock();
        if is_watch(request) {
            if script.expired == 0 {
                return RequestOutcome::Passes;
            }
            script.expired -= 1;
            return RequestOutcome::Refused(StatusCode::GONE, "Expired");
        }
        let is_list = request.method() == Method::GET && query.contains("limit=");
        if is_list {
            let is_prune_check =
                query.contains("labelSelector=") && request.uri().path().ends_with("/containers");
            script.prune_checks += usize::from(is_prune_check);
            return RequestOutcome::Passes;
        }
        script.requests += 1;
        script.lease_requests += usize::from(request.uri().path().contains("/leases/"));
        let (percent, slow) = (script.percent, script.slow);
        let Some(rng) = script.rng.as_mut() else {
            return RequestOutcome::Passes;
        };
        if rng.u8(..100) >= percent {
            return match slow {
                true => RequestOutcome::Late(Duration::from_millis(rng.u64(..MAX_DELAY_MS))),
                false => RequestOutcome::Passes,
            };
        }
        match rng.u8(..5) {
            0 => RequestOutcome::Refused(StatusCode::CONFLICT, "Conflict"),
            1 => RequestOutcome::Refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            2 => RequestOutcome::Refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            3 => RequestOutcome::Refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            _ => RequestOutcome::Lost,
        }
    }

    pub(crate) async fn call(
        self,
        mut server: rdd_apiserver::ApiServer,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Either<InterruptibleBody, Full<Bytes>>>, BoxError> {
        let outcome = self.outcome(&request);
        if let RequestOutcome::Refused(code, reason) = outcome {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "injected fault", "reason": reason, "code": code.as_u16(),
            });
            let mut response = Response::new(Either::Right(Full::from(status.to_string())));
            *response.status_mut() = code;
            return Ok(response);
        }
        let watched = is_watch(&request).then(|| request.uri().path().to_owned());
        let interrupt = self.lock().interrupt.clone();
        let response = server.call(request).await?;
        match outcome {
            RequestOutcome::Lost => return Err("injected fault: the connection was reset".into()),
            RequestOutcome::Late(by) => tokio::time::sleep(by).await,
            RequestOutcome::Passes | RequestOutcome::Refused(..) => {}
        }
        Ok(response.map(|inner| {
            Either::Left(InterruptibleBody {
                inner,
                freezes: watched.map(|path| (path, self)),
                interrupt: Box::pin(interrupt.cancelled_owned()),
            })
        }))
    }
}

fn is_watch(request: &Request<kube::client::Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.contains("watch=true")
}

/// A response body that can be interrupted and frozen.
pub(crate) struct InterruptibleBody {
    inner: rdd_apiserver::ResponseBody,
    /// The path and the faults that can freeze it, if it is of a watch.
    freezes: Option<(String, ApiFaults)>,
    interrupt: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Body for InterruptibleBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self
            .freezes
            .as_ref()
            .is_some_and(|(path, faults)| faults.is_frozen(path, context))
        {
            return Poll::Pending;
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.interrupt.as_mut().poll(context).map(|()| None)
    }
}
