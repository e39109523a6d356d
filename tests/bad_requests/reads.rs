//! Offsets and the other query parameters.

use super::case::{Case, get, request, stream};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = offsets();
    cases.extend(queries());
    cases.extend(consistency());
    cases
}

fn offsets() -> Vec<Case> {
    let texts = [
        ("empty", ""),
        ("a plain number", "0"),
        ("minus two", "-2"),
        ("plus one", "%2B1"),
        ("a sentinel in capitals", "NOW"),
        ("a sentinel with a space before it", "%20-1"),
        ("a sentinel with a NUL after it", "-1%00"),
        ("hexadecimal", "0x10"),
        ("a comma list", "-1,now"),
        ("one digit too few", "0000000000000000_000000000000000"),
        ("one digit too many", "0000000000000000_00000000000000000"),
        ("another separator", "0000000000000000-0000000000000000"),
        ("a read sequence that is not zero", "0000000000000001_0000000000000000"),
        ("a letter in the position", "0000000000000000_000000000000000a"),
        ("a sign in the position", "0000000000000000_-000000000000001"),
        ("a digit of another script", "0000000000000000_000000000000000%D9%A1"),
        ("bytes that are no UTF-8", "%FF%FE"),
        ("a path", "../../etc/passwd"),
    ];
    let mut cases: Vec<_> = texts
        .into_iter()
        .map(|(name, text)| {
            let target = format!("{}?offset={text}", stream("text"));
            Case::problem(format!("offset: {name}"), get(&target), 400, "invalid-offset")
        })
        .collect();
    let at = |name: &str, position: &str, code| {
        let target = format!("{}?offset=0000000000000000_{position}", stream(name));
        Case::problem(
            format!("offset: {code} in {name} at {position}"),
            get(&target),
            400,
            code,
        )
    };
    cases.extend([
        at("text", "0000000000000099", "offset-beyond-tail"),
        at("text", "9999999999999999", "offset-beyond-tail"),
        at("empty", "0000000000000001", "offset-beyond-tail"),
        at("json", "0000000000000003", "invalid-offset"),
        Case::problem(
            "offset: beyond the tail, long-poll",
            get(&format!(
                "{}?live=long-poll&offset=0000000000000000_0000000000000099",
                stream("text")
            )),
            400,
            "offset-beyond-tail",
        ),
        Case::problem(
            "offset: beyond the tail, SSE",
            get(&format!(
                "{}?live=sse&offset=0000000000000000_0000000000000099",
                stream("text")
            )),
            400,
            "offset-beyond-tail",
        ),
        Case::problem(
            "offset: long-poll without one",
            get(&format!("{}?live=long-poll", stream("text"))),
            400,
            "offset-required",
        ),
        Case::problem(
            "offset: SSE without one",
            get(&format!("{}?live=sse", stream("text"))),
            400,
            "offset-required",
        ),
    ]);
    cases
}

fn queries() -> Vec<Case> {
    let stream_queries = [
        "offset=-1&offset=-1",
        "offset=-1&%6Fffset=now",
        "offset=-1&live=",
        "offset=-1&live=LONG-POLL",
        "offset=-1&live=websocket",
        "offset=-1&live=true",
        "offset=-1&live=sse&live=sse",
        "offset=-1&live=long-poll&cursor=1&cursor=2",
        "offset=-1&consistency=strong",
        "offset=-1&consistency=",
        "offset=-1&consistency=eventual&consistency=eventual",
    ];
    let list_queries = [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=ten",
        "limit=",
        "limit=1.5",
        "limit=99999999999999999999",
        "limit=1&limit=1",
        "prefix=a&prefix=b",
        "after=a&after=b",
    ];
    let of_stream = stream_queries.map(|query| (query, format!("{}?{query}", stream("text"))));
    let of_list = list_queries.map(|query| (query, format!("/v1/streams?{query}")));
    of_stream
        .into_iter()
        .chain(of_list)
        .map(|(query, target)| Case::problem(format!("query: {query}"), get(&target), 400, "invalid-query"))
        .collect()
}

fn consistency() -> Vec<Case> {
    let target = format!("{}?offset=-1", stream("text"));
    let wrong = |name: &str, headers: &[(&str, &str)]| {
        Case::problem(name, request("GET", &target, headers, ""), 400, "invalid-header")
    };
    vec![
        wrong("consistency: an unknown level", &[("Weir-Consistency", "sometimes")]),
        wrong(
            "consistency: twice",
            &[("Weir-Consistency", "eventual"), ("Weir-Consistency", "eventual")],
        ),
    ]
}
