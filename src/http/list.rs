//! GET on the list of streams: Weir's own extension.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderValue, Uri};
use serde::Serialize;
use weir_protocol::{Lifetime, ListRequest, StreamSummary};

use crate::app::Shared;
use crate::compression;
use crate::limits::{DEFAULT_LIST_LIMIT, MAX_LIST_LIMIT};
use crate::problem::{Code, Problem};
use crate::request::Query;

#[derive(Serialize)]
struct Page {
    streams: Vec<Line>,
    more: bool,
}

#[derive(Serialize)]
struct Line {
    name: String,
    content_type: String,
    next_offset: String,
    closed: bool,
    total_bytes: u64,
    message_count: u64,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fork_offset: Option<String>,
}

impl From<StreamSummary> for Line {
    fn from(summary: StreamSummary) -> Self {
        let StreamSummary { name, metadata } = summary;
        let (forked_from, fork_offset) = metadata
            .fork
            .map(|(source, at)| (source.to_string(), at.to_string()))
            .unzip();
        Self {
            name: name.to_string(),
            content_type: metadata.content_type.to_string(),
            next_offset: metadata.next_offset.to_string(),
            closed: metadata.closed,
            total_bytes: metadata.total_bytes,
            message_count: metadata.message_count,
            created_at: metadata.incarnation.created_at.to_rfc3339(),
            updated_at: metadata.updated_at.to_rfc3339(),
            ttl_seconds: match metadata.lifetime {
                Lifetime::Ttl(seconds) => Some(seconds),
                Lifetime::Forever | Lifetime::ExpiresAt(_) => None,
            },
            expires_at: metadata.expires_at.map(weir_protocol::Timestamp::to_rfc3339),
            forked_from,
            fork_offset,
        }
    }
}

pub(crate) async fn handle(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let page = app.streams.list(parse(request.uri())?).await?;
    let page = Page {
        more: page.more,
        streams: page.streams.into_iter().map(Line::from).collect(),
    };
    // Serialising plain structs to memory has no way to fail.
    let mut response = serde_json::to_vec(&page).unwrap_or_default().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    compression::allow(&mut response);
    Ok(response)
}

fn parse(uri: &Uri) -> Result<ListRequest, Problem> {
    let query = Query::of(uri);
    let limit = match query.one("limit")? {
        None => DEFAULT_LIST_LIMIT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIST_LIMIT).contains(limit))
            .ok_or_else(|| Problem::new(Code::InvalidQuery, format!("limit must be from 1 to {MAX_LIST_LIMIT}")))?,
    };
    Ok(ListRequest {
        prefix: query.one("prefix")?.unwrap_or_default().to_owned(),
        after: query.one("after")?.map(ToOwned::to_owned),
        limit,
    })
}
