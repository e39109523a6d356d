//! One request and its answer.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use weir_protocol::{StreamName, headers};

use crate::client::error::ClientError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may let us wait for its next bytes. Live reads have no such limit, as their silence means
/// nothing; a server that is gone shows in the connection's keep-alive there.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 3;

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    live: reqwest::Client,
    base: Url,
}

/// A successful answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// For the server at `url`.
    ///
    /// # Errors
    /// When `url` is no `http://` address.
    pub(crate) fn new(url: &str) -> Result<Self, ClientError> {
        let base = Url::parse(url)
            .ok()
            .filter(|base| base.scheme() == "http" && base.has_host() && base.query().is_none())
            .ok_or_else(|| ClientError::Url(url.to_owned()))?;
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_keepalive(KEEP_ALIVE_INTERVAL)
                .tcp_keepalive_interval(KEEP_ALIVE_INTERVAL)
                .tcp_keepalive_retries(KEEP_ALIVE_PROBES)
                .build()
                .map_err(|cause| ClientError::Setup(cause.to_string()))
        };
        Ok(Self {
            http: build(reqwest::Client::builder().read_timeout(READ_TIMEOUT))?,
            live: build(reqwest::Client::builder())?,
            base,
        })
    }

    /// The server's address, as messages show it.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    fn resource(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// A request about a stream.
    pub(crate) fn stream(&self, method: Method, name: &StreamName) -> RequestBuilder {
        self.http.request(method, self.stream_url(name))
    }

    /// A read.
    pub(crate) fn read(&self, name: &StreamName, offset: &str) -> RequestBuilder {
        let mut url = self.stream_url(name);
        url.query_pairs_mut().append_pair("offset", offset);
        self.http.get(url)
    }

    /// A read that waits for new messages.
    pub(crate) fn long_poll(&self, name: &StreamName, offset: &str, cursor: Option<&str>) -> RequestBuilder {
        let mut url = self.stream_url(name);
        url.query_pairs_mut()
            .append_pair("offset", offset)
            .append_pair("live", "long-poll")
            .extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        self.live.get(url)
    }

    /// A request to the admin API.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.resource(path))
    }

    /// A page of the list of streams.
    pub(crate) fn list(&self, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.resource("/v1/streams");
        url.query_pairs_mut().extend_pairs(query);
        self.http.get(url)
    }

    fn stream_url(&self, name: &StreamName) -> Url {
        self.resource(&format!("{}/{}", weir_http::STREAM_ROOT, name.to_url_path()))
    }

    /// Sends a request once and takes the whole answer.
    ///
    /// # Errors
    /// When no answer came, and for every answer that is no success.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let broken = |error: reqwest::Error| ClientError::unreachable(self.url(), &error);
        let mut response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = body(response).await.map_err(broken)?;
        if status.is_success() {
            Ok(Answer { status, headers, body })
        } else {
            Err(answered(status, &headers, &body))
        }
    }
}

async fn body(response: Response) -> Result<Bytes, reqwest::Error> {
    response.bytes().await
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether a header says `true`.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.header(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Where to read or write next.
    ///
    /// # Errors
    /// When the answer does not say, so whoever answers is no Durable Streams server.
    pub(crate) fn next_offset(&self) -> Result<String, ClientError> {
        self.header(headers::STREAM_NEXT_OFFSET)
            .map(ToOwned::to_owned)
            .ok_or(ClientError::NoStreamServer("Stream-Next-Offset"))
    }

    /// Whether the stream is closed.
    pub(crate) fn closed(&self) -> bool {
        self.says(headers::STREAM_CLOSED)
    }

    /// Whether messages of this content type are JSON values.
    pub(crate) fn is_json(&self) -> bool {
        self.content_type().is_some_and(|kind| is_json(&kind))
    }

    /// The stream's content type.
    pub(crate) fn content_type(&self) -> Option<String> {
        self.header(CONTENT_TYPE.as_str()).map(str::to_ascii_lowercase)
    }
}

/// Whether a content type is `application/json`, whatever its parameters.
pub(crate) fn is_json(content_type: &str) -> bool {
    essence(content_type) == "application/json"
}

/// Whether a content type is text for people.
pub(crate) fn is_text(content_type: &str) -> bool {
    essence(content_type).starts_with("text/")
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// RFC 9457, as far as people are concerned.
#[derive(Deserialize)]
struct ProblemDocument {
    title: String,
    #[serde(default)]
    detail: String,
}

fn answered(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ClientError {
    let problem = serde_json::from_slice(body).unwrap_or_else(|_| ProblemDocument {
        title: format!("HTTP {status}"),
        detail: String::from_utf8_lossy(body).trim().chars().take(200).collect(),
    });
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let detail = if problem.detail.is_empty() {
        format!("status {}", status.as_u16())
    } else {
        problem.detail
    };
    ClientError::Answered {
        status,
        title: problem.title,
        detail,
        retry_after: seconds.map(Duration::from_secs),
    }
}
