//! The search against `stateright`'s tester, on small random histories of the same model.

use std::collections::HashMap;

use proptest::prelude::*;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use super::model::{Call, State};
use super::search::{Finding, search};
use crate::history::{Answer, Body, Consistency, Event, Failure, From, History, MessageId, Op, Process, Run};

/// What a random client does: which operation, and how long each part takes.
#[derive(Debug, Clone)]
struct Step {
    what: u8,
    think: u8,
    wait: u8,
    /// When within `wait` it really takes effect, in per cent; above 100: never, and the outcome is unknown.
    effect: u8,
    /// Whether the client learns of it.
    answered: bool,
    /// What to add to the answered tail: a lie, if it is not 0.
    lie: i8,
}

fn steps(lies: bool) -> impl Strategy<Value = Vec<Vec<Step>>> {
    let lie = if lies { (-1i8..=1).boxed() } else { Just(0i8).boxed() };
    let step = (0u8..10, 0u8..6, 1u8..20, 0u8..130, prop::bool::weighted(0.8), lie).prop_map(
        |(what, think, wait, effect, answered, lie)| Step {
            what,
            think,
            wait,
            effect,
            answered: answered && effect <= 100,
            lie,
        },
    );
    prop::collection::vec(prop::collection::vec(step, 1..5), 2..4)
}

/// One operation laid out in time.
struct Laid {
    client: usize,
    invoke: u64,
    effect: Option<u64>,
    end: u64,
    op: Op,
    answered: bool,
    lie: i8,
    body: Option<Body>,
}

/// Runs the clients against one real stream: a true history, but for the lies.
fn play(clients: &[Vec<Step>]) -> History {
    let mut laid = Vec::new();
    for (client, steps) in clients.iter().enumerate() {
        let mut now = 0u64;
        for (n, step) in steps.iter().enumerate() {
            let invoke = now + u64::from(step.think);
            let end = invoke + 1 + u64::from(step.wait);
            let effect = (step.effect <= 100).then(|| {
                // An effect that nobody was told of may come long after.
                let late = if step.answered { 0 } else { u64::from(step.effect) / 4 };
                invoke + (end - invoke) * u64::from(step.effect) / 100 + late
            });
            laid.push(Laid {
                client,
                invoke,
                effect,
                end,
                op: op(step.what, MessageId(client as u64, n as u64)),
                answered: step.answered,
                lie: step.lie,
                body: None,
            });
            now = end + 1;
        }
    }
    let mut by_effect: Vec<usize> = (0..laid.len()).filter(|place| laid[*place].effect.is_some()).collect();
    by_effect.sort_by_key(|place| laid[*place].effect);
    let mut stream: Option<(Vec<MessageId>, bool)> = None;
    for place in by_effect {
        let body = serve(&laid[place].op, &mut stream, laid[place].lie);
        laid[place].body = Some(body);
    }
    record(&laid)
}

fn op(what: u8, message: MessageId) -> Op {
    let stream = "s".to_owned();
    match what {
        0 | 1 => Op::Create {
            stream,
            messages: Vec::new(),
            ttl_ms: None,
            close: false,
        },
        2 => Op::Delete { stream },
        3 => Op::Close { stream, producer: None },
        4..=6 => Op::Append {
            stream,
            messages: vec![message],
            producer: None,
            close: false,
        },
        7 => Op::Head { stream },
        _ => Op::Read {
            stream,
            from: From::Start,
            consistency: Consistency::Strong,
            max: None,
            if_none_match: None,
        },
    }
}

/// A straightforward server, apart from the model under test.
fn serve(op: &Op, stream: &mut Option<(Vec<MessageId>, bool)>, lie: i8) -> Body {
    if let (Op::Create { .. }, None) = (op, &stream) {
        *stream = Some((Vec::new(), false));
        return answer(201, 0, false, Vec::new());
    }
    let Some((messages, closed)) = stream else {
        return Body::Fail(Failure::refusal(404, "stream-not-found"));
    };
    let tail = |messages: &Vec<MessageId>| (10 * messages.len() as u64).saturating_add_signed(10 * i64::from(lie));
    match op {
        Op::Create { .. } if *closed => Body::Fail(Failure::refusal(409, "stream-exists")),
        Op::Create { .. } => answer(200, tail(messages), false, Vec::new()),
        Op::Delete { .. } => {
            *stream = None;
            answer(204, 0, false, Vec::new())
        }
        Op::Append { .. } if *closed => Body::Fail(Failure {
            next: Some(10 * messages.len() as u64),
            closed: true,
            ..Failure::refusal(409, "stream-closed")
        }),
        Op::Append { messages: new, .. } => {
            messages.extend(new);
            answer(204, tail(messages), false, Vec::new())
        }
        Op::Close { .. } => {
            *closed = true;
            answer(204, tail(messages), true, Vec::new())
        }
        Op::Head { .. } => answer(200, tail(messages), *closed, Vec::new()),
        _ => answer(200, tail(messages), *closed, messages.clone()),
    }
}

fn answer(status: u16, next: u64, closed: bool, messages: Vec<MessageId>) -> Body {
    Body::Ok(Answer {
        status,
        next: Some(next),
        closed,
        messages,
        up_to_date: true,
        ..Answer::default()
    })
}

fn record(laid: &[Laid]) -> History {
    // (time, completion after invoke at equal times, which)
    let mut ends: Vec<(u64, bool, usize)> = Vec::new();
    for (place, one) in laid.iter().enumerate() {
        ends.push((one.invoke, false, place));
        ends.push((one.end, true, place));
    }
    ends.sort_unstable();
    let mut invokes = HashMap::new();
    // After an unknown outcome the client goes on as another process.
    let mut renewed = vec![0u64; laid.len()];
    let mut events = Vec::new();
    for (index, (time, is_end, place)) in (0..).zip(ends) {
        let one = &laid[place];
        let process = Process::Client(one.client as u64 * 100 + renewed[one.client]);
        let body = match (is_end, &one.body) {
            (false, _) => {
                invokes.insert(place, index);
                Body::Invoke(one.op.clone())
            }
            (true, Some(body)) if one.answered => body.clone(),
            (true, _) => {
                renewed[one.client] += 1;
                Body::Info(Failure::transport("timeout"))
            }
        };
        events.push(Event {
            index,
            // Two ticks, so that no two events have one time by chance of rounding.
            time_ns: time * 1_000 + index,
            process,
            node: None,
            f: one.op.f().to_owned(),
            of: is_end.then(|| invokes[&place]),
            body,
        });
    }
    History::from_events(Run::default(), events).unwrap()
}

/// The same model, for `stateright`: a state that is `None` has gone wrong.
#[derive(Clone)]
struct Spec<'h> {
    calls: std::rc::Rc<Vec<Call<'h>>>,
    state: Option<State>,
}

impl SequentialSpec for Spec<'_> {
    type Op = usize;
    type Ret = bool;

    fn invoke(&mut self, call: &usize) -> bool {
        // In flight: it does what it would do, or nothing where it does not fit.
        if let Some(next) = self.state.as_ref().and_then(|state| self.calls[*call].apply(state)) {
            self.state = Some(next);
        }
        true
    }

    fn is_valid_step(&mut self, call: &usize, _: &bool) -> bool {
        self.state = self.state.take().and_then(|state| self.calls[*call].apply(&state));
        self.state.is_some()
    }
}

fn by_stateright(history: &History, calls: Vec<Call<'_>>) -> bool {
    let calls = std::rc::Rc::new(calls);
    let spec = Spec {
        calls: calls.clone(),
        state: Some(None),
    };
    let places: HashMap<u64, usize> = calls
        .iter()
        .enumerate()
        .map(|(place, call)| (call.index, place))
        .collect();
    let mut tester = LinearizabilityTester::new(spec);
    for event in &history.events {
        let Process::Client(process) = event.process else {
            continue;
        };
        let invoke = event.of.unwrap_or(event.index);
        let Some(place) = places.get(&invoke) else {
            continue;
        };
        match &event.body {
            Body::Invoke(_) => {
                tester.on_invoke(process, *place).unwrap();
            }
            // Unknown outcomes stay in flight for ever.
            Body::Ok(_) | Body::Fail(_) => {
                tester.on_return(process, true).unwrap();
            }
            _ => {}
        }
    }
    tester.is_consistent()
}

fn calls(history: &History) -> Vec<Call<'_>> {
    history.operations.iter().filter_map(Call::new).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn true_histories_are_linearizable(clients in steps(false)) {
        let history = play(&clients);
        prop_assert_eq!(search(&calls(&history), 1_000_000), Finding::Linearizable);
    }

    #[test]
    fn the_search_agrees_with_stateright(clients in steps(true)) {
        let history = play(&clients);
        let found = search(&calls(&history), 1_000_000);
        prop_assert_ne!(&found, &Finding::TooLong);
        let expected = by_stateright(&history, calls(&history));
        prop_assert_eq!(found == Finding::Linearizable, expected, "{:?}", found);
    }
}

#[test]
fn lies_are_often_found() {
    // So that the property above compares more than yes with yes.
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut yes, mut no) = (0, 0);
    for _ in 0..200 {
        let clients = steps(true).new_tree(&mut runner).unwrap().current();
        match search(&calls(&play(&clients)), 1_000_000) {
            Finding::Linearizable => yes += 1,
            _ => no += 1,
        }
    }
    assert!(yes > 30 && no > 30, "{yes} linearizable, {no} not");
}
