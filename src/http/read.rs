//! GET: catch-up reads, and the way to the live modes (protocol sections 5.6 to 5.8).

use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use weir_protocol::{Consistency, Read, ReadFrom, StreamName, cursor};

use crate::answer::Range;
use crate::app::{App, Shared};
use crate::live::{long_poll, sse};
use crate::outflow::Share;
use crate::problem::{Code, Problem};
use crate::request::Query;
use crate::{answer, request};

/// How the client wants to be kept up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    CatchUp,
    LongPoll,
    Sse,
}

/// What a client asked to read.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) name: StreamName,
    pub(crate) from: ReadFrom,
    pub(crate) consistency: Consistency,
    /// The cursor that the client echoes; live modes only.
    pub(crate) cursor: Option<u64>,
}

impl Wish {
    /// The read that begins the request, and with it the stream's TTL anew.
    pub(crate) fn first_read(&self, max_bytes: u64) -> Read {
        Read {
            from: self.from,
            max_bytes,
            consistency: self.consistency,
            renews: true,
        }
    }

    /// Whether the answer may be kept.
    pub(crate) fn range(&self) -> Range {
        match self.from {
            ReadFrom::Start | ReadFrom::At(_) => Range::Fixed,
            ReadFrom::Now => Range::Moving,
        }
    }
}

pub(crate) async fn handle(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let (mode, wish) = parse(&parts)?;
    match mode {
        Mode::CatchUp => catch_up(&app, &parts, &wish).await,
        Mode::LongPoll => long_poll::handle(&app, &wish, &parts.extensions).await,
        Mode::Sse => sse::handle(app, wish, parts.extensions).await,
    }
}

fn parse(parts: &Parts) -> Result<(Mode, Wish), Problem> {
    let name = request::stream_name(&parts.uri)?;
    let query = Query::of(&parts.uri);
    let offset = query.one("offset")?;
    let mode = match query.one("live")? {
        None => Mode::CatchUp,
        Some("long-poll") => Mode::LongPoll,
        Some("sse") => Mode::Sse,
        Some(_) => return Err(Problem::new(Code::InvalidQuery, "live must be 'long-poll' or 'sse'")),
    };
    if mode != Mode::CatchUp && offset.is_none() {
        return Err(Problem::new(
            Code::OffsetRequired,
            "say where to begin: -1, now, or an offset that this server returned",
        ));
    }
    let from = offset
        .map_or(Ok(ReadFrom::Start), ReadFrom::parse)
        .map_err(|error| Problem::of(Code::InvalidOffset, &error))?;
    let wish = Wish {
        name,
        from,
        consistency: request::consistency(&parts.headers, &query)?,
        cursor: query.one("cursor")?.and_then(cursor::parse),
    };
    Ok((mode, wish))
}

async fn catch_up(app: &App, parts: &Parts, wish: &Wish) -> Result<Response, Problem> {
    let share = Share::new(&app.answer_budget, &parts.extensions, app.settings.max_read_bytes);
    let result = app.streams.read(&wish.name, wish.first_read(share.bytes())).await?;
    let claim = share.claim(result.stored_bytes())?;
    Ok(answer::catch_up(&result, wish.range(), &parts.headers, claim))
}
