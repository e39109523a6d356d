//! Every error that `Streams` can answer, as the client sees it.

use weir_protocol::{
    AppendError, ContentType, CreateError, DeleteError, Fault, HeadError, ListError, Offset, ReadError,
};

use crate::fake::fault;
use crate::support::{Answer, Front, offset, path};

fn faults() -> Vec<(Fault, u16, &'static str, &'static str)> {
    vec![
        (fault(), 503, "unavailable", "1"),
        (Fault::Overloaded, 429, "overloaded", "1"),
        (Fault::OutcomeUnknown, 503, "outcome-unknown", "1"),
        (Fault::TooLarge, 413, "body-too-large", ""),
        (Fault::StorageFull, 507, "storage-full", ""),
        (Fault::Storage("/dev/secret broke".to_owned()), 500, "internal", ""),
    ]
}

/// The same answer for every operation.
fn check_fault(answer: &Answer, status: u16, code: &str, retry_after: &str) {
    answer.is_problem(status, code);
    assert_eq!(answer.header("retry-after"), retry_after);
    assert!(!answer.text().contains("secret"), "{}", answer.text());
}

#[tokio::test]
async fn faults_look_alike_everywhere() {
    let front = Front::new();
    let fake = &front.fake;
    let text = [("content-type", "text/plain")];
    for (fault, status, code, retry) in faults() {
        *fake.next_create.lock().unwrap() = Some(fault.clone().into());
        check_fault(&front.send("PUT", &path("s"), &[], "").await, status, code, retry);
        *fake.next_append.lock().unwrap() = Some(fault.clone().into());
        check_fault(&front.send("POST", &path("s"), &text, "x").await, status, code, retry);
        *fake.next_delete.lock().unwrap() = Some(fault.clone().into());
        check_fault(&front.send("DELETE", &path("s"), &[], "").await, status, code, retry);
        *fake.next_list.lock().unwrap() = Some(fault.clone().into());
        check_fault(&front.get("/v1/streams").await, status, code, retry);
        *fake.next_head.lock().unwrap() = Some(fault.clone().into());
        assert_eq!(front.send("HEAD", &path("s"), &[], "").await.status, status);
        *fake.next_read.lock().unwrap() = Some(fault.clone().into());
        check_fault(&front.get(&path("s")).await, status, code, retry);
        // A fork's body needs its source's type.
        *fake.next_head.lock().unwrap() = Some(fault.into());
        let fork = front.send("PUT", &path("f"), &[("stream-forked-from", "s")], "x").await;
        check_fault(&fork, status, code, retry);
    }
}

#[tokio::test]
async fn live_reads_that_fail_at_once_say_so() {
    let front = Front::new();
    front.create("s", "text/plain", "x").await;
    for live in ["long-poll", "sse"] {
        *front.fake.next_read.lock().unwrap() = Some(fault().into());
        let target = format!("{}?offset=-1&live={live}", path("s"));
        check_fault(&front.get(&target).await, 503, "unavailable", "1");
    }
}

#[tokio::test]
async fn refused_creates() {
    let front = Front::new();
    let json = ContentType::parse("application/json").unwrap();
    for (error, status, code) in [
        (CreateError::ConfigMismatch("TTL"), 409, "stream-exists"),
        (CreateError::NameHeld, 409, "name-held"),
        (CreateError::SourceNotFound, 404, "fork-source-not-found"),
        (CreateError::SourceGone, 409, "fork-source-gone"),
        (CreateError::SourceTypeMismatch(json), 409, "fork-content-type-mismatch"),
        (CreateError::ForkOffsetBeyondTail, 400, "fork-offset-beyond-tail"),
        (CreateError::ForkOffsetInvalid, 400, "fork-offset-invalid"),
        (CreateError::ForkSubOffsetOvershoot, 400, "fork-sub-offset-overshoot"),
        (CreateError::TooLong, 409, "stream-full"),
    ] {
        *front.fake.next_create.lock().unwrap() = Some(error);
        front.send("PUT", &path("s"), &[], "").await.is_problem(status, code);
    }
}

#[tokio::test]
async fn refused_appends() {
    let front = Front::new();
    let closed = AppendError::Closed {
        next_offset: Offset::new(7).unwrap(),
    };
    let gap = AppendError::SequenceGap {
        expected: 3,
        received: 5,
    };
    let seven = offset(7);
    type Row<'a> = (AppendError, u16, &'a str, &'a [(&'a str, &'a str)]);
    let rows: [Row<'_>; 9] = [
        (AppendError::NotFound, 404, "stream-not-found", &[]),
        (AppendError::Gone, 410, "stream-gone", &[]),
        (
            closed,
            409,
            "stream-closed",
            &[("stream-closed", "true"), ("stream-next-offset", &seven)],
        ),
        (
            AppendError::ContentTypeMismatch(ContentType::octet_stream()),
            409,
            "content-type-mismatch",
            &[],
        ),
        (AppendError::StreamSeqRegression, 409, "stream-seq-regression", &[]),
        (
            AppendError::EpochFenced { current_epoch: 9 },
            403,
            "producer-fenced",
            &[("producer-epoch", "9")],
        ),
        (
            gap,
            409,
            "producer-gap",
            &[("producer-expected-seq", "3"), ("producer-received-seq", "5")],
        ),
        (AppendError::EpochMustStartAtZero, 400, "producer-epoch-start", &[]),
        (AppendError::TooLong, 409, "stream-full", &[]),
    ];
    for (error, status, code, headers) in rows {
        *front.fake.next_append.lock().unwrap() = Some(error);
        let text = [("content-type", "text/plain")];
        let answer = front.send("POST", &path("s"), &text, "x").await;
        answer.is_problem(status, code);
        for (name, value) in headers {
            assert_eq!(answer.header(name), *value);
        }
    }
}

#[tokio::test]
async fn refused_reads_heads_and_deletes() {
    let front = Front::new();
    for (error, status, code) in [
        (ReadError::NotFound, 404, "stream-not-found"),
        (ReadError::Gone, 410, "stream-gone"),
        (ReadError::OffsetBeyondTail, 400, "offset-beyond-tail"),
        (ReadError::OffsetInvalid, 400, "invalid-offset"),
    ] {
        *front.fake.next_read.lock().unwrap() = Some(error);
        front.get(&path("s")).await.is_problem(status, code);
    }
    for (error, status) in [(HeadError::NotFound, 404), (HeadError::Gone, 410)] {
        *front.fake.next_head.lock().unwrap() = Some(error);
        let answer = front.send("HEAD", &path("s"), &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0));
    }
    for (error, status, code) in [
        (DeleteError::NotFound, 404, "stream-not-found"),
        (DeleteError::Gone, 410, "stream-gone"),
    ] {
        *front.fake.next_delete.lock().unwrap() = Some(error);
        front.send("DELETE", &path("s"), &[], "").await.is_problem(status, code);
    }
    *front.fake.next_list.lock().unwrap() = Some(ListError::Fault(Fault::Overloaded));
    front.get("/v1/streams").await.is_problem(429, "overloaded");
}
