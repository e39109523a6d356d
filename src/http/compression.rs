//! Which answers may be compressed: catch-up reads and lists, of types that gain from it. Never live reads, which a
//! compressor would hold back.

use axum::response::Response;
use http_body::Body as _;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use weir_protocol::ContentType;

use crate::limits::MIN_COMPRESS_BYTES;

/// Marks a response that may be compressed.
#[derive(Debug, Clone, Copy)]
struct Allowed;

/// Lets the layer compress this response if the client wants that and it is large enough.
pub(crate) fn allow(response: &mut Response) {
    let large = response
        .body()
        .size_hint()
        .exact()
        .is_none_or(|bytes| bytes >= MIN_COMPRESS_BYTES);
    if large {
        response.extensions_mut().insert(Allowed);
    }
}

/// Whether a stream's bytes are likely to shrink. Only types that are known to be text: `application/octet-stream`
/// may be anything, and most named binary types are compressed already.
pub(crate) fn is_worthwhile(content_type: &ContentType) -> bool {
    let essence = content_type.essence();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence,
            "application/json"
                | "application/ndjson"
                | "application/x-ndjson"
                | "application/jsonl"
                | "application/json-seq"
                | "application/javascript"
                | "application/xml"
        )
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct OnlyAllowed;

impl Predicate for OnlyAllowed {
    fn should_compress<B: http_body::Body>(&self, response: &http::Response<B>) -> bool {
        response.extensions().get::<Allowed>().is_some()
    }
}

/// gzip and zstd at their fastest level: the point is fewer bytes on the wire, not the fewest.
pub(crate) fn layer() -> CompressionLayer<OnlyAllowed> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(OnlyAllowed)
}
