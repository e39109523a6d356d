//! DELETE (protocol section 5.4).

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use crate::app::Shared;
use crate::problem::Problem;
use crate::{answer, request};

pub(crate) async fn handle(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let name = request::stream_name(request.uri())?;
    app.streams.delete(&name).await?;
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    answer::no_store(response.headers_mut());
    Ok(response)
}
