//! The page is whole, says what it must, and keeps foreign text apart from its own.

use super::html;
use crate::check::check;
use crate::history::{Answer, Body, Event, Failure, Fault, History, LogFile, Mark, MessageId, Op, Process, Run, Stage};

fn event(index: u64, process: Process, f: &str, of: Option<u64>, body: Body) -> Event {
    Event {
        index,
        time_ns: index * 50_000_000,
        process,
        node: Some(1),
        f: f.to_owned(),
        of,
        body,
    }
}

fn fault(stage: Stage, effect: Option<bool>) -> Body {
    Body::Fault(Fault {
        id: 1,
        name: "partition-ring".to_owned(),
        stage,
        targets: vec!["n1>n2".to_owned()],
        effect,
        evidence: "12 packets <dropped>".to_owned(),
    })
}

/// An append that is lost, one of unknown outcome, a fault, and a stream's name that is markup.
fn history() -> History {
    let run = Run {
        workload: "queue".to_owned(),
        nemeses: vec!["partition".to_owned()],
        nodes: 1,
        seed: 77,
        command: "jepsen run --workload queue --seed 77".to_owned(),
        logs: vec![LogFile {
            name: "n1".to_owned(),
            path: "logs/n1.log".to_owned(),
        }],
        ..Run::default()
    };
    let stream = "<script>alert(1)</script>".to_owned();
    let append = |n| Op::Append {
        stream: stream.clone(),
        messages: vec![MessageId(0, n)],
        producer: None,
        close: false,
    };
    let ok = |next, messages| Answer {
        status: 200,
        next: Some(next),
        messages,
        up_to_date: true,
        ..Answer::default()
    };
    let (client, nemesis) = (Process::Client(0), Process::Nemesis);
    let last = Op::FinalRead { stream: stream.clone() };
    let events = vec![
        event(0, nemesis, "mark", None, Body::Mark(Mark::Started)),
        event(1, client, "append", None, Body::Invoke(append(0))),
        event(2, client, "append", Some(1), Body::Ok(ok(10, Vec::new()))),
        event(3, nemesis, "fault", None, fault(Stage::Begin, None)),
        event(4, client, "append", None, Body::Invoke(append(1))),
        event(5, client, "append", Some(4), Body::Info(Failure::transport("timeout"))),
        event(6, nemesis, "fault", None, fault(Stage::End, Some(true))),
        event(7, nemesis, "mark", None, Body::Mark(Mark::Healed)),
        event(8, Process::Client(1), "final-read", None, Body::Invoke(last)),
        event(
            9,
            Process::Client(1),
            "final-read",
            Some(8),
            Body::Ok(ok(0, Vec::new())),
        ),
        event(10, nemesis, "mark", None, Body::Mark(Mark::Ended)),
    ];
    History::from_events(run, events).unwrap()
}

#[test]
fn the_page_says_what_it_must_and_needs_nothing_else() {
    let history = history();
    let page = html(&history, &check(&history)).unwrap();
    for due in [
        "invalid",
        "lost-all",
        "jepsen run --workload queue --seed 77",
        "href=\"logs/n1.log\"",
        "href=\"history.jsonl\"",
        "partition-ring",
        "12 packets &lt;dropped&gt;",
        "1 acknowledged and lost",
        "1 unknown, and not there",
        "healed",
    ] {
        assert!(page.contains(due), "{due}");
    }
    assert!(!page.contains("<script"), "markup in a stream's name");
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "something from elsewhere"
    );
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 6);
    assert!(!page.contains("NaN"));
}

#[test]
fn an_empty_history_has_a_page_too() {
    let history = History::from_events(Run::default(), Vec::new()).unwrap();
    let page = html(&history, &check(&history)).unwrap();
    assert!(page.contains("unknown") && !page.contains("NaN"));
}
