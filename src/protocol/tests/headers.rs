use weir_protocol::headers;

/// Section 13.2 without the header of webhooks, then the names that sections 5.2.1 and 5.8 add.
#[test]
fn the_names_are_the_specifications() {
    let table = [
        (headers::STREAM_TTL, "Stream-TTL"),
        (headers::STREAM_EXPIRES_AT, "Stream-Expires-At"),
        (headers::STREAM_SEQ, "Stream-Seq"),
        (headers::STREAM_CURSOR, "Stream-Cursor"),
        (headers::STREAM_NEXT_OFFSET, "Stream-Next-Offset"),
        (headers::STREAM_UP_TO_DATE, "Stream-Up-To-Date"),
        (headers::STREAM_CLOSED, "Stream-Closed"),
        (headers::STREAM_FORKED_FROM, "Stream-Forked-From"),
        (headers::STREAM_FORK_OFFSET, "Stream-Fork-Offset"),
        (headers::STREAM_FORK_SUB_OFFSET, "Stream-Fork-Sub-Offset"),
        (headers::STREAM_SSE_DATA_ENCODING, "stream-sse-data-encoding"),
        (headers::PRODUCER_ID, "Producer-Id"),
        (headers::PRODUCER_EPOCH, "Producer-Epoch"),
        (headers::PRODUCER_SEQ, "Producer-Seq"),
        (headers::PRODUCER_EXPECTED_SEQ, "Producer-Expected-Seq"),
        (headers::PRODUCER_RECEIVED_SEQ, "Producer-Received-Seq"),
        (headers::WEIR_CONSISTENCY, "Weir-Consistency"),
    ];
    for (constant, name) in table {
        assert_eq!(constant, name.to_ascii_lowercase());
    }
}
