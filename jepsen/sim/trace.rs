//! What happened, as text: the same seed must give the same text, byte for byte.
//!
//! Lines tell what the simulation does and what the nodes log. Each line carries a hash of everything that went to the
//! disks and over the network until then, so that two runs that differ anywhere differ in the next line.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

#[derive(Default)]
struct Trace {
    text: String,
    hash: u64,
    lines: u64,
    now_ms: u64,
    /// Whether the text is kept; its hash is in any case.
    keeps: bool,
    echoes: bool,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
}

/// Begins a trace on this thread. With `echoes` it goes to stderr as well.
pub fn begin(keeps: bool, echoes: bool) {
    TRACE.with_borrow_mut(|trace| {
        *trace = Trace {
            keeps,
            echoes,
            ..Trace::default()
        };
    });
}

/// Sets the simulated time of the lines to come.
pub fn at(now_ms: u64) {
    TRACE.with_borrow_mut(|trace| trace.now_ms = now_ms);
}

/// Takes note of bytes on a disk or a line.
pub fn hash(place: u64, bytes: &[u8], number: u64) {
    let sum = u64::from(crc32c::crc32c(bytes)) ^ number.rotate_left(32) ^ (place << 56) ^ bytes.len() as u64;
    // A trace that is being written is no place to be hashed from.
    TRACE.with(|trace| {
        if let Ok(mut trace) = trace.try_borrow_mut() {
            trace.hash = mix(trace.hash, sum);
        }
    });
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Writes a line.
pub fn line(text: &str) {
    TRACE.with_borrow_mut(|trace| {
        let mut whole = String::with_capacity(text.len() + 40);
        let _ = writeln!(whole, "{:>7} {:016x} {text}", trace.now_ms, trace.hash);
        trace.hash = mix(trace.hash, u64::from(crc32c::crc32c(whole.as_bytes())));
        trace.lines += 1;
        if trace.echoes {
            eprint!("{whole}");
        }
        if trace.keeps {
            trace.text.push_str(&whole);
        }
    });
}

/// Ends the trace: its text, if it was kept, and the hash of all of it.
#[must_use]
pub fn end() -> (String, u64) {
    TRACE.with_borrow_mut(|trace| {
        let trace = std::mem::take(trace);
        (trace.text, mix(trace.hash, trace.lines))
    })
}

thread_local! {
    /// Whose turn it is, as turmoil's spans say.
    static HOST: RefCell<String> = RefCell::default();
}

/// Takes the nodes' logs into the trace.
pub struct Logs {
    level: Level,
    hosts: Mutex<Vec<String>>,
}

/// turmoil enters this span for each turn of a host.
const HOST_SPAN: &str = "node";

impl Logs {
    /// Logs up to a level.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self {
            level,
            hosts: Mutex::default(),
        }
    }
}

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.target().starts_with("turmoil") {
            return metadata.is_span() && metadata.name() == HOST_SPAN;
        }
        metadata.is_event() && *metadata.level() <= self.level
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut name = String::new();
        attributes.record(&mut Fields(&mut name));
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let at = hosts.iter().position(|host| *host == name).unwrap_or_else(|| {
            hosts.push(name);
            hosts.len() - 1
        });
        span::Id::from_u64(at as u64 + 1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        let metadata = event.metadata();
        let host = HOST.with_borrow(Clone::clone);
        let _ = write!(text, "{host} {} {}:", metadata.level(), metadata.target());
        event.record(&mut Fields(&mut text));
        line(&text);
    }

    fn enter(&self, id: &span::Id) {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(id.into_u64() - 1).unwrap_or(usize::MAX);
        HOST.with_borrow_mut(|host| host.clone_from(&hosts.get(at).cloned().unwrap_or_default()));
    }

    fn exit(&self, _: &span::Id) {
        HOST.with_borrow_mut(String::clear);
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            "name" if self.0.is_empty() => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
