//! What a request says in its path, headers and query, parsed strictly: what is not understood is refused.

use std::borrow::Cow;

use http::{HeaderMap, Uri};
use weir_protocol::{Consistency, StreamName, headers};

use crate::problem::{Code, Problem};
use crate::router::STREAM_ROOT;

/// The stream that the path names. The path is taken raw, as only [`StreamName`] knows how to decode it.
pub(crate) fn stream_name(uri: &Uri) -> Result<StreamName, Problem> {
    let raw = uri
        .path()
        .strip_prefix(STREAM_ROOT)
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or_default();
    Ok(StreamName::from_url_path(raw)?)
}

/// A header's one value as text. More than one value, or a byte outside printable ASCII, is refused.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::new(
            Code::InvalidHeader,
            format!("{name} was sent more than once"),
        ));
    }
    value.to_str().map(Some).map_err(|_| {
        Problem::new(
            Code::InvalidHeader,
            format!("{name} has characters outside printable ASCII"),
        )
    })
}

/// Whether `Stream-Closed` is `true` in any case. Every other value is as if it were absent and never an error
/// (protocol section 4.1), and so are two values, which together are no `true`.
pub(crate) fn stream_closed(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(headers::STREAM_CLOSED).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.as_bytes().eq_ignore_ascii_case(b"true"),
        _ => false,
    }
}

/// Refuses bodies under a content coding: stored as they come, they would be unreadable to every reader.
pub(crate) fn refuse_content_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match header(headers, "content-encoding")? {
        None => Ok(()),
        Some(coding) if coding.is_empty() || coding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(Problem::new(
            Code::UnsupportedContentEncoding,
            "send the body without Content-Encoding",
        )),
    }
}

/// The freshness that a read asks for, by header or by query; the query wins, as a link can carry it.
pub(crate) fn consistency(headers: &HeaderMap, query: &Query<'_>) -> Result<Consistency, Problem> {
    let header = header(headers, headers::WEIR_CONSISTENCY)?
        .map(parse_consistency)
        .transpose();
    let query = query.one("consistency")?.map(parse_consistency).transpose();
    match (header, query) {
        (Err(()), _) => Err(Problem::new(
            Code::InvalidHeader,
            "Weir-Consistency must be 'linearizable' or 'eventual'",
        )),
        (_, Err(())) => Err(Problem::new(
            Code::InvalidQuery,
            "consistency must be 'linearizable' or 'eventual'",
        )),
        (Ok(header), Ok(query)) => Ok(query.or(header).unwrap_or_default()),
    }
}

fn parse_consistency(text: &str) -> Result<Consistency, ()> {
    if text.eq_ignore_ascii_case("eventual") {
        Ok(Consistency::Eventual)
    } else if text.eq_ignore_ascii_case("linearizable") {
        Ok(Consistency::Linearizable)
    } else {
        Err(())
    }
}

/// The query parameters, decoded. Unknown ones are ignored (protocol section 5.6), known ones may come once.
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Decodes the query of `uri`.
    pub(crate) fn of(uri: &'a Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// The one value of a parameter.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(key, _)| key == name);
        let first = values.next().map(|(_, value)| &**value);
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Problem::new(
                Code::InvalidQuery,
                format!("{name} was sent more than once"),
            )),
        }
    }
}
