use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn append(client: &mut Client) -> Op {
    Op::Append {
        stream: "q0".to_owned(),
        messages: vec![client.message(), client.message()],
        producer: None,
        close: false,
    }
}

fn record(to: &std::path::Path) -> Recorder {
    let ticks = Arc::new(AtomicU64::new(0));
    let clock = move || ticks.fetch_add(10, Ordering::Relaxed);
    let file = std::fs::File::create(to).unwrap();
    Recorder::new(Box::new(file), &Run::default(), Box::new(clock)).unwrap()
}

#[test]
fn what_is_recorded_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let recorder = record(&path);
    recorder.mark(Mark::Started);
    let mut client = recorder.client();
    let op = append(&mut client);
    client.invoke(Some(2), op).ok(Answer {
        status: 200,
        next: Some(40),
        ..Answer::default()
    });
    let op = append(&mut client);
    client.invoke(Some(2), op).info(Failure::transport("timeout"));
    assert_eq!(client.process(), 1);
    let head = Op::Head {
        stream: "q0".to_owned(),
    };
    client
        .invoke(None, head.clone())
        .fail(Failure::refusal(404, "stream-not-found"));
    // A 5xx is never a failure, whatever the caller thinks.
    client
        .invoke(None, head.clone())
        .fail(Failure::refusal(503, "unavailable"));
    // A cancelled task leaves its operation unknown.
    drop(client.invoke(None, head));
    recorder.fault(Fault {
        id: 1,
        name: "kill".to_owned(),
        stage: Stage::Begin,
        targets: vec!["n1".to_owned()],
        effect: Some(true),
        evidence: "pid 7 gone".to_owned(),
    });
    recorder.finish().unwrap();

    let history = History::open(&path).unwrap();
    assert!(!history.torn);
    let ends: Vec<_> = history.operations.iter().map(|operation| &operation.outcome).collect();
    assert!(matches!(ends[0], Outcome::Ok(answer) if answer.next == Some(40)));
    assert!(matches!(ends[1], Outcome::Info(Some(failure)) if failure.code == "timeout"));
    assert!(matches!(ends[2], Outcome::Fail(failure) if failure.status == Some(404)));
    assert!(matches!(ends[3], Outcome::Info(Some(failure)) if failure.status == Some(503)));
    assert!(matches!(ends[4], Outcome::Info(Some(failure)) if failure.code == "dropped"));
    let processes: Vec<_> = history.operations.iter().map(|operation| operation.process).collect();
    assert_eq!(processes, [0, 0, 1, 1, 2]);
    assert_eq!(history.operations[1].return_ns, u64::MAX);
    assert!(history.operations[0].return_ns < history.operations[1].invoke_ns);
    assert_eq!(history.faults.len(), 1);
    assert!(history.marked(Mark::Ended).is_some());
    assert!(matches!(&history.operations[1].op,
        Op::Append { messages, .. } if messages == &[MessageId(0, 2), MessageId(0, 3)]));
}

#[test]
fn a_cut_off_last_line_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let recorder = record(&path);
    let mut client = recorder.client();
    let op = append(&mut client);
    client.invoke(None, op).ok(Answer::default());
    recorder.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let history = History::read(&whole[..whole.len() - 1]).unwrap();
    assert!(history.torn);
    assert_eq!(history.events.len(), 2);
    assert!(History::read(&b""[..]).is_err());
}

fn line(index: u64, rest: &str) -> String {
    format!(r#"{{"index":{index},"time_ns":{index},{rest}}}"#)
}

fn read(lines: &[String]) -> Result<History, HistoryError> {
    let run = serde_json::json!({ "run": Run::default() }).to_string();
    let text: String = std::iter::once(&run)
        .chain(lines)
        .map(|line| format!("{line}\n"))
        .collect();
    History::read(text.as_bytes())
}

#[test]
fn histories_that_break_the_rules_are_refused() {
    let invoke = r#""process":1,"phase":"invoke","f":"head","value":{"stream":"s"}"#;
    let ok = r#""process":1,"phase":"ok","f":"head","of":0,"value":{"status":200}"#;
    let info = r#""process":1,"phase":"info","f":"head","of":0,"value":{"code":"timeout"}"#;
    read(&[line(0, invoke), line(1, ok), line(2, invoke)]).unwrap();
    let refused = [
        ("two open at once", vec![line(0, invoke), line(1, invoke)]),
        (
            "goes on after unknown",
            vec![line(0, invoke), line(1, info), line(2, invoke)],
        ),
        ("completes nothing", vec![line(0, ok)]),
        ("an index is missing", vec![line(0, invoke), line(2, ok)]),
        (
            "a 5xx as a failure",
            vec![
                line(0, invoke),
                line(
                    1,
                    r#""process":1,"phase":"fail","f":"head","of":0,"value":{"status":500,"code":"internal"}"#,
                ),
            ],
        ),
        ("another f", vec![line(0, invoke), line(1, &ok.replace("head", "read"))]),
        ("unknown f", vec![line(0, &invoke.replace("head", "dance"))]),
        ("an odd process", vec![line(0, &invoke.replace(":1,", ":\"demon\","))]),
    ];
    for (what, lines) in refused {
        assert!(read(&lines).is_err(), "{what}");
    }
}

#[test]
fn edn_has_op_maps_as_jepsen_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let recorder = record(&path);
    let mut client = recorder.client();
    let op = Op::Read {
        stream: "a \"b\"".to_owned(),
        from: From::At(7),
        consistency: Consistency::Strong,
        max: None,
        if_none_match: None,
    };
    client.invoke(Some(2), op).ok(Answer {
        status: 200,
        next: Some(9),
        messages: vec![MessageId(1, 2)],
        up_to_date: true,
        ..Answer::default()
    });
    recorder.fault(Fault {
        id: 1,
        name: "partition-ring".to_owned(),
        stage: Stage::Begin,
        targets: vec!["n1>n2".to_owned()],
        effect: None,
        evidence: String::new(),
    });
    recorder.finish().unwrap();
    let mut edn = Vec::new();
    write_edn(&History::open(&path).unwrap(), &mut edn).unwrap();
    let expected = r#"{:index 0, :time 0, :process 0, :type :invoke, :f :read, :value {:consistency "strong", :from {:at 7}, :stream "a \"b\""}, :node "n2"}
{:index 1, :time 10, :process 0, :type :ok, :f :read, :value {:messages [[1 2]], :next 9, :status 200, :up-to-date true}, :node "n2", :of 0}
{:index 2, :time 20, :process :nemesis, :type :info, :f :partition-ring, :value {:id 1, :name "partition-ring", :stage "begin", :targets ["n1>n2"]}}
{:index 3, :time 30, :process :nemesis, :type :info, :f :mark, :value "ended"}
"#;
    assert_eq!(String::from_utf8(edn).unwrap(), expected);
}
