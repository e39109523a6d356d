//! The front end as one service: what is around every request, and the short way for appends.
//!
//! Nearly all requests of a busy server are appends. They are told from the rest by method and path alone, so they need
//! none of the router's work, which costs as much as all that the handler itself does.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use axum::{BoxError, extract::State};
use bytes::Bytes;
use http::Method;
use tower::{Service, ServiceExt as _};
use weir_protocol::{Clock, Streams};

use crate::app::{App, Shared};
use crate::router::{STREAM_ROOT, routes};
use crate::settings::Settings;
use crate::shutdown::ShutdownSignal;
use crate::{append, edge, meters, reserved};

/// The whole protocol over [`Streams`], to be given to [`crate::serve`].
#[derive(Clone)]
pub struct FrontEnd {
    app: Shared,
    router: Router,
}

impl FrontEnd {
    /// `settings` are taken as they are: check them with [`Settings::validate`] first.
    #[must_use]
    pub fn new(streams: Arc<dyn Streams>, clock: Arc<dyn Clock>, settings: Settings, shutdown: ShutdownSignal) -> Self {
        meters::describe();
        let app = App::new(streams, clock, settings, shutdown);
        let router = routes(Shared::clone(&app));
        Self { app, router }
    }
}

/// Whether the router would hand this request to [`append::handle`].
fn is_append(request: &Request) -> bool {
    let name = request.uri().path().strip_prefix(STREAM_ROOT);
    let name = name.and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    request.method() == Method::POST && !name.is_empty() && !reserved::has(name)
}

impl<B> Service<http::Request<B>> for FrontEnd
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let request = request.map(Body::new);
        let app = Shared::clone(&self.app);
        if is_append(&request) {
            return Box::pin(async move {
                let inner = |request| append::handle(State(Shared::clone(&app)), request);
                Ok(edge::pass(&app, request, inner).await)
            });
        }
        let router = self.router.clone();
        Box::pin(async move {
            let inner = async |request| {
                let Ok(response) = router.oneshot(request).await;
                response
            };
            Ok(edge::pass(&app, request, inner).await)
        })
    }
}
