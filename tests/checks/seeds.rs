//! Inputs that reach far into the code under test. They are made here, so no corpus lies in the repository.

use weir_protocol::name::MAX_NAME_BYTES;
use weir_protocol::{Offset, Timestamp};

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn offsets() -> Vec<Vec<u8>> {
    let mut seeds = owned(&["", "-1", "now", "0", "0000000000000001_0000000000000000"]);
    let positions = [0, 1, 9, 10, 1 << 32, Offset::MAX.position()]
        .into_iter()
        .filter_map(Offset::new);
    seeds.extend(positions.map(|offset| offset.to_string().into_bytes()));
    for (a, b) in [(0, 1), (Offset::MAX.position(), 1), (u64::MAX, u64::MAX)] {
        seeds.push([a.to_le_bytes(), b.to_le_bytes()].concat());
    }
    seeds
}

pub(crate) fn names() -> Vec<Vec<u8>> {
    let mut seeds = owned(&[
        "",
        "a",
        "a/b/c",
        "a//b",
        "a/../b",
        ".",
        "__ds",
        "__ds/x",
        "%5F_ds/x",
        "a%2Fb",
        "%2e%2E",
        "%00",
        "%ff",
        "%",
        "%4",
        "%e2%82%ac",
        "€/é/😀",
        "a b?c#d",
        "a\nb",
        "\u{85}",
        "\u{7f}",
        "~!$&'()*+,;=:@-._",
    ]);
    for length in [MAX_NAME_BYTES, MAX_NAME_BYTES + 1] {
        seeds.push(vec![b'a'; length]);
        seeds.push("%61".repeat(length).into_bytes());
    }
    seeds
}

pub(crate) fn headers() -> Vec<Vec<u8>> {
    let mut seeds = owned(&[
        "",
        "producer-1\n0\n0",
        "p\n9007199254740991\n9007199254740992",
        "p\n+1\n1.0",
        "p\n007\n-1",
        "3600",
        "03600",
        "18446744073709551615",
        "18446744073709551616",
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00.123456+05:30",
        "9999-12-31T23:59:59-00:01",
        "2024-06-30T23:59:60Z",
        "application/json",
        "Text/Plain; charset=UTF-8;",
        "multipart/mixed; boundary=\"a;\\\"b\"",
        "text/plain; a=\"",
        "text/plain; a=\"é\"",
        "text/plain; a=\"\u{1}\"",
        "*",
        "\"x\", W/\"y\"",
        "\"1.1:0:2:c\"",
        "0001\n0002",
    ]);
    let millis = [0, u64::from(u32::MAX), u64::MAX].map(Timestamp::from_millis);
    seeds.extend(millis.map(|at| at.to_rfc3339().into_bytes()));
    seeds.push([0, 1, 1, 3, 32, 0, 33, 34, 64].to_vec());
    seeds.push(vec![b'x'; 257]);
    seeds
}

pub(crate) fn json() -> Vec<Vec<u8>> {
    let mut seeds = owned(&[
        "",
        "1",
        " [ ] ",
        "[[]]",
        "{\"event\": \"created\"}",
        "[{\"a\":1}, {\"b\":[2,3]}]",
        "[[1,2], [3,4]]",
        "\r\n[1,2]",
        "[[[1,2,3]]]",
        "[1,]",
        "[1 2]",
        "{\"a\":1,}",
        "[-0,1.50e+3,1E999,-1.0e-7]",
        "01",
        "-",
        "1.",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\\x\"",
        "\"\u{7f}\u{2028}\"",
        "\"\n\"",
        "[true,false,null]",
        "nul",
        "\u{feff}1",
        "\r\n\t 1 \r\n",
        "[\",\",\"]\"]",
    ]);
    for depth in [100, 127, 128, 129, 2000] {
        seeds.push([vec![b'['; depth], vec![b']'; depth]].concat());
    }
    seeds.push(b"{\"a\":".repeat(300));
    seeds.push(b"\"\xff\"".to_vec());
    seeds
}
