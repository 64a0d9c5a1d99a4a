//! What every request passes: who it is from, whether they may be here at all, and its id.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use touchmark_proto::reason::{Reason, Refusal};
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::call::Call;
use crate::app::App;
use crate::audit::RequestId;
use crate::listen::{ConnInfo, InFlight, Outlet, Turn};

/// Puts a [`Gate`] before all services.
#[derive(Clone)]
pub(super) struct GateLayer(pub(super) Arc<App>);

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, app: Arc::clone(&self.0) }
    }
}

/// Answers those who may not be here, and marks the requests of those who may.
#[derive(Clone)]
pub(super) struct Gate<S> {
    inner: S,
    app: Arc<App>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answer {
        let (call, in_flight, outlet) = match self.enter(&request) {
            Ok(entered) => entered,
            Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
        };
        let method = request.uri().path().trim_start_matches('/').to_owned();
        let span = tracing::info_span!("request", id = %call.id, uid = call.caller.uid, method);
        request.extensions_mut().insert(call);
        let answer = self.inner.call(request);
        let counted = async move {
            tracing::debug!("called");
            let mut in_flight = in_flight;
            let answer = answer.await?;
            in_flight.is_now(Turn::Theirs);
            Ok(answer.map(|body| Body::new(Counted { body, in_flight, outlet, full: None })))
        };
        Box::pin(counted.instrument(span))
    }
}

impl<S> Gate<S> {
    fn enter(&self, request: &Request<Body>) -> Result<(Call, InFlight, Arc<Outlet>), Status> {
        let internal = |what| Refusal::new(Reason::Internal, what).into_status();
        let conn: &ConnInfo =
            request.extensions().get().ok_or_else(|| internal("a connection without a peer"))?;
        let in_flight = conn.requests.begin();
        let id = RequestId::random().map_err(|_| internal("the system gave no random bytes"))?;
        let call = Call { caller: conn.peer.caller.clone(), id };
        if !conn.peer.admitted {
            let refusal =
                Refusal::new(Reason::NotAllowed, format!("{} may not use this daemon", call.caller))
                    .hint("whoever runs touchmarkd adds an [[allow]] for this user to its configuration");
            return Err(self.app.refused(&call, refusal));
        }
        Ok((call, in_flight, Arc::clone(&conn.outlet)))
    }
}

/// An answer that keeps its connection from being idle until it is sent. Its next part is asked for when the peer has
/// room for it.
struct Counted {
    body: Body,
    in_flight: InFlight,
    outlet: Arc<Outlet>,
    /// Done when the connection takes answers again.
    full: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Counted {
    /// Ready while the connection takes what is written to it.
    fn poll_outlet(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.full.is_none() && self.outlet.is_full() {
            let outlet = Arc::clone(&self.outlet);
            self.full = Some(Box::pin(async move { outlet.drained().await }));
        }
        if let Some(full) = &mut self.full {
            std::task::ready!(full.as_mut().poll(cx));
            self.full = None;
        }
        Poll::Ready(())
    }
}

impl HttpBody for Counted {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.poll_outlet(cx).is_pending() {
            self.in_flight.is_now(Turn::Theirs);
            return Poll::Pending;
        }
        let part = Pin::new(&mut self.body).poll_frame(cx);
        self.in_flight.is_now(if part.is_pending() { Turn::Ours } else { Turn::Theirs });
        part
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
