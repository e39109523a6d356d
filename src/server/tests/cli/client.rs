//! `weir stream` against a server.

use serde_json::{Value, json};

use crate::support::{Server, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_text_stream_goes_its_whole_way() {
    let server = Server::start();
    let created = server
        .stream(&["create", "a/b c", "--content-type", "text/plain", "--json"])
        .ok();
    assert_eq!(json(&created)["created"], true);
    assert_eq!(json(&created)["content_type"], "text/plain");
    let again = server
        .stream(&["create", "a/b c", "--content-type", "text/plain", "--json"])
        .ok();
    assert_eq!(json(&again)["created"], false);

    server.stream(&["append", "a/b c", "one\n"]).ok();
    let appended = server
        .stream_with("zwö\n".as_bytes(), &["append", "a/b c", "--json"])
        .ok();
    let appended = json(&appended);
    assert_eq!((&appended["input_bytes"], &appended["appends"]), (&json!(5), &json!(1)));
    assert_eq!(server.stream(&["read", "a/b c"]).ok(), "one\nzwö\n");
    let offset = appended["next_offset"].as_str().unwrap().to_owned();
    let read = server.stream(&["read", "a/b c", "--offset", &offset, "--show-offset"]);
    assert_eq!(read.err, format!("next offset: {offset}\n"));
    assert_eq!(read.ok(), "");

    server.stream(&["fork", "a/b c", "fork"]).ok();
    server.stream(&["append", "fork", "of its own\n", "--close"]).ok();
    assert_eq!(server.stream(&["read", "fork"]).ok(), "one\nzwö\nof its own\n");
    assert_eq!(server.stream(&["read", "a/b c"]).ok(), "one\nzwö\n");

    let closed = server.stream(&["close", "a/b c", "--json"]).ok();
    assert_eq!(
        json(&closed),
        json!({"stream": "a/b c", "next_offset": offset, "closed": true})
    );
    let listed = server.stream(&["list"]).ok();
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("closed") && lines[0].ends_with("  a/b c"), "{listed}");
    let listed = server.stream(&["list", "fo", "--json"]).ok();
    assert_eq!(json(&listed)["name"], "fork");

    server.stream(&["delete", "fork"]).ok();
    assert_eq!(server.stream(&["list", "fork"]).ok(), "");
}

#[test]
fn json_goes_in_as_values_and_comes_out_as_lines() {
    let server = Server::start();
    server
        .stream(&["create", "events", "--content-type", "application/json"])
        .ok();
    let input = "{\"a\": 1}\n{\"a\":\n 2}\n[3, [4]]\n";
    let appended = server
        .stream_with(input.as_bytes(), &["append", "events", "--json"])
        .ok();
    assert_eq!(json(&appended)["input_bytes"], input.len());
    let expected = "{\"a\": 1}\n{\"a\":  2}\n3\n[4]\n";
    assert_eq!(server.stream(&["read", "events"]).ok(), expected);
    assert_eq!(server.stream(&["tail", "events", "-n", "2"]).ok(), "3\n[4]\n");
    let complaint = server.stream(&["append", "events", "{\"a\":"]).refused(1);
    assert!(
        complaint.starts_with("error: the argument: the input is not valid JSON"),
        "{complaint}"
    );
    assert_eq!(server.stream(&["read", "events"]).ok(), expected);
}

#[test]
fn a_large_file_goes_in_bounded_appends_and_comes_back_the_same() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large");
    // No period divides the size of an append or of a page.
    let content: String = (0..1_500_000).map(|number| format!("{number:07}\n")).collect();
    std::fs::write(&file, &content).unwrap();
    let path = file.to_str().unwrap();
    for (name, content_type) in [("text", "text/plain"), ("bytes", "application/octet-stream")] {
        server.stream(&["create", name, "--content-type", content_type]).ok();
        let appended = server
            .stream(&["append", name, "--file", path, "--close", "--json"])
            .ok();
        let appended = json(&appended);
        assert_eq!(appended["input_bytes"], content.len());
        assert_eq!(appended["appends"], content.len().div_ceil(1 << 20));
        assert_eq!(appended["closed"], true);
        assert_eq!(server.stream(&["read", name]).ok(), content);
    }
    assert_eq!(server.stream(&["tail", "text", "-n", "2"]).ok(), "1499998\n1499999\n");
}

#[test]
fn problems_are_told_in_words_and_in_exit_codes() {
    let server = Server::start();
    server
        .stream(&["create", "closed", "--closed", "--content-type", "text/plain"])
        .ok();
    server.stream(&["create", "open"]).ok();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["read", "nothing"], 4, "error: The stream does not exist: "),
        (&["tail", "-f", "nothing"], 4, "error: "),
        (&["append", "nothing", "data"], 4, "error: "),
        (&["delete", "nothing"], 4, "error: The stream does not exist: "),
        (&["append", "closed", "data"], 5, "error: The stream is closed: "),
        (
            &["create", "open", "--closed"],
            5,
            "error: A different stream has this name: ",
        ),
        (
            &["read", "open", "--offset", "12"],
            6,
            "error: The offset is not valid: ",
        ),
        (
            &["create", "new", "--content-type", "nonsense"],
            6,
            "error: The Content-Type is not a media type: ",
        ),
        (&["append", "open", ""], 1, "error: there is nothing to append\n"),
        (
            &["append", "open", "--file", "/nonexistent"],
            1,
            "error: /nonexistent cannot be read: ",
        ),
        (&["read", "a//b"], 2, "error: invalid value 'a//b'"),
        (&["read", "__ds/x"], 2, "error: invalid value '__ds/x'"),
        (&["append", "open", "x", "--file", "y"], 2, "error: "),
    ];
    for (args, code, start) in cases {
        let complaint = server.stream(args).refused(*code);
        assert!(complaint.starts_with(start), "{args:?}: {complaint}");
    }
    // Nothing listens on port 9 of a machine that runs tests; a privileged port is never given out by chance.
    let complaint = run(&["stream", "--url", "http://127.0.0.1:9", "list"]).refused(3);
    assert!(
        complaint.starts_with("error: no answer from http://127.0.0.1:9: "),
        "{complaint}"
    );
    let complaint = run(&["stream", "--url", "https://127.0.0.1:9", "list"]).refused(2);
    assert!(
        complaint.contains("'https://127.0.0.1:9' is not a server's address"),
        "{complaint}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let server = Server::start();
    server.stream(&["create", "long", "--content-type", "text/plain"]).ok();
    server.stream_with(&vec![b'x'; 3_000_000], &["append", "long"]).ok();
    let mut command = server.command(&["read", "long"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
