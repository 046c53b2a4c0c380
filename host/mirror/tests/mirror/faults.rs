//! An API that fails now and then, as the mirror sees it.

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

/// How many milliseconds an answer is late at most: about as long as a few
/// requests take.
const LATEST: u64 = 20;

/// How requests fail. Clones share one state.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    rng: Option<fastrand::Rng>,
    /// How many requests about single objects fail, of a hundred.
    percent: u8,
    /// Whether the answers to the others are late.
    slow: bool,
    /// How many such requests there were.
    requests: usize,
    /// How many looks for mirrors that have to go.
    sweeps: usize,
    cut: CancellationToken,
    /// Watches that are still to be told that their version is too old.
    expired: usize,
    /// Whether watches of mirrors say nothing, and who waits for them to speak.
    frozen: bool,
    waiting: Vec<Waker>,
}

/// What becomes of a request.
enum Fate {
    Passes,
    Refused(StatusCode, &'static str),
    /// It is carried out, and the answer is lost.
    Lost,
    /// It is carried out, and the answer comes late.
    Late(Duration),
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    /// From now on, so many of a hundred requests about single objects fail,
    /// each in a way that `seed` decides.
    pub(crate) fn fail(&self, percent: u8, seed: u64) {
        let mut script = self.lock();
        script.percent = percent;
        script.rng = Some(fastrand::Rng::with_seed(seed));
    }

    /// From now on, answers about single objects come late, by as much as
    /// `seed` decides.
    pub(crate) fn slow_down(&self, seed: u64) {
        let mut script = self.lock();
        script.slow = true;
        script.rng = Some(fastrand::Rng::with_seed(seed));
    }

    /// From now on, nothing fails and nothing is late.
    pub(crate) fn mend(&self) {
        let mut script = self.lock();
        script.percent = 0;
        script.slow = false;
    }

    /// How many requests about single objects there were.
    pub(crate) fn requests(&self) -> usize {
        self.lock().requests
    }

    /// Ends every running watch; the next `watches` of them have to list anew.
    pub(crate) fn expire_watches(&self, watches: usize) {
        let mut script = self.lock();
        script.expired = watches;
        std::mem::take(&mut script.cut).cancel();
    }

    /// How many times mirrors that have to go were looked for: one list or more
    /// each time.
    pub(crate) fn sweeps(&self) -> usize {
        self.lock().sweeps
    }

    /// From now on, the watches of mirrors say nothing; that of the App goes on.
    pub(crate) fn freeze_watches(&self) {
        self.lock().frozen = true;
    }

    /// The watches say what they kept to themselves.
    pub(crate) fn thaw_watches(&self) {
        let mut script = self.lock();
        script.frozen = false;
        script.waiting.drain(..).for_each(Waker::wake);
    }

    /// Whether a watch has to wait.
    fn is_frozen(&self, context: &Context<'_>) -> bool {
        let mut script = self.lock();
        if script.frozen {
            script.waiting.push(context.waker().clone());
        }
        script.frozen
    }

    fn fate(&self, request: &Request<kube::client::Body>) -> Fate {
        let query = request.uri().query().unwrap_or_default();
        let mut script = self.lock();
        if is_watch(request) {
            if script.expired == 0 {
                return Fate::Passes;
            }
            script.expired -= 1;
            return Fate::Refused(StatusCode::GONE, "Expired");
        }
        let is_list = request.method() == Method::GET && query.contains("limit=");
        if is_list {
            let sweeps =
                query.contains("labelSelector=") && request.uri().path().ends_with("/containers");
            script.sweeps += usize::from(sweeps);
            return Fate::Passes;
        }
        script.requests += 1;
        let (percent, slow) = (script.percent, script.slow);
        let Some(rng) = script.rng.as_mut() else {
            return Fate::Passes;
        };
        if rng.u8(..100) >= percent {
            return match slow {
                true => Fate::Late(Duration::from_millis(rng.u64(..LATEST))),
                false => Fate::Passes,
            };
        }
        match rng.u8(..5) {
            0 => Fate::Refused(StatusCode::CONFLICT, "Conflict"),
            1 => Fate::Refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            2 => Fate::Refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            3 => Fate::Refused(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            _ => Fate::Lost,
        }
    }

    pub(crate) async fn call(
        self,
        mut server: rdd_apiserver::ApiServer,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Either<Cut, Full<Bytes>>>, BoxError> {
        let fate = self.fate(&request);
        if let Fate::Refused(code, reason) = fate {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "as the test wants it", "reason": reason, "code": code.as_u16(),
            });
            let mut response = Response::new(Either::Right(Full::from(status.to_string())));
            *response.status_mut() = code;
            return Ok(response);
        }
        let path = request.uri().path();
        let freezes = is_watch(&request) && path.contains(rdd_api::CONTAINERS_GROUP);
        let cut = self.lock().cut.clone();
        let response = server.call(request).await?;
        match fate {
            Fate::Lost => return Err("the connection broke, as the test wants it".into()),
            Fate::Late(by) => tokio::time::sleep(by).await,
            Fate::Passes | Fate::Refused(..) => {}
        }
        Ok(response.map(|inner| {
            Either::Left(Cut {
                inner,
                freezes: freezes.then_some(self),
                cut: Box::pin(cut.cancelled_owned()),
            })
        }))
    }
}

fn is_watch(request: &Request<kube::client::Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.contains("watch=true")
}

/// A body that ends when the watches are cut.
pub(crate) struct Cut {
    inner: rdd_apiserver::ResponseBody,
    /// Of a watch of mirrors: what can freeze it.
    freezes: Option<Faults>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self
            .freezes
            .as_ref()
            .is_some_and(|faults| faults.is_frozen(context))
        {
            return Poll::Pending;
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.cut.as_mut().poll(context).map(|()| None)
    }
}
