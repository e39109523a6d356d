//! Append requests on their way to one replica, several at once, and what is told of their answers.
//!
//! openraft (0.10.0-alpha.37) takes an answer that matches the log up to some entry for the answer to every request that
//! ends there, and so for that of later requests without entries, which only carry what is committed. Their moment of
//! sending then counts as the moment at which the other replica still followed this leader. A leader that stood still
//! while another one was elected, and finds answers from before that, would believe in itself, and its reads would miss
//! what the other leader acknowledged. So an answer is told only when those to the requests without entries behind it
//! are there as well.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{FuturesOrdered, StreamExt as _};

/// How many append requests may be on their way to one replica.
const PIPELINE: usize = 32;

/// A request that was sent.
pub(super) struct Sent<F> {
    /// Whether it has entries.
    pub(super) has_entries: bool,
    /// Becomes its answer.
    pub(super) answer: F,
}

/// The answers to requests, in order, until one says that the following ones are of no use; see the module. An answer
/// that a later one says as well may be left out.
pub(super) struct Answers<I, F: Future> {
    /// Sends a request whenever it is asked for one.
    requests: I,
    is_all_sent: bool,
    under_way: FuturesOrdered<F>,
    /// Of those under way: which have entries.
    have_entries: VecDeque<bool>,
    /// An answer that waits for those to requests without entries.
    held: Option<F::Output>,
    has_ended: bool,
}

impl<I, F: Future> Answers<I, F> {
    pub(super) fn new(requests: I) -> Self {
        Self {
            requests,
            is_all_sent: false,
            under_way: FuturesOrdered::new(),
            have_entries: VecDeque::new(),
            held: None,
            has_ended: false,
        }
    }
}

impl<I, F, R, S, E> Stream for Answers<I, F>
where
    I: Stream<Item = Sent<F>> + Unpin,
    F: Future<Output = Result<Result<R, S>, E>>,
    R: Unpin,
    S: Unpin,
    E: Unpin,
{
    type Item = F::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        loop {
            while !this.is_all_sent && this.under_way.len() < PIPELINE {
                match this.requests.poll_next_unpin(cx) {
                    Poll::Ready(Some(sent)) => {
                        this.under_way.push_back(sent.answer);
                        this.have_entries.push_back(sent.has_entries);
                    }
                    Poll::Ready(None) => this.is_all_sent = true,
                    Poll::Pending => break,
                }
            }
            let is_covered = this.have_entries.front().copied().unwrap_or(true);
            if is_covered && let Some(answer) = this.held.take() {
                return Poll::Ready(Some(answer));
            }
            match this.under_way.poll_next_unpin(cx) {
                Poll::Ready(Some(answer)) => {
                    this.have_entries.pop_front();
                    if !matches!(answer, Ok(Ok(_))) {
                        this.has_ended = true;
                        return Poll::Ready(Some(answer));
                    }
                    this.held = Some(answer);
                }
                Poll::Ready(None) if this.is_all_sent => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::{BoxFuture, ready};
    use tokio::sync::{mpsc, oneshot};
    use tokio_stream::wrappers::UnboundedReceiverStream;

    use super::*;

    type Answer = Result<Result<u64, &'static str>, &'static str>;

    /// Requests that are sent and answered as a test wants.
    struct Other {
        requests: mpsc::UnboundedSender<Sent<BoxFuture<'static, Answer>>>,
        answers: Answers<UnboundedReceiverStream<Sent<BoxFuture<'static, Answer>>>, BoxFuture<'static, Answer>>,
    }

    impl Other {
        fn new() -> Self {
            let (requests, taken) = mpsc::unbounded_channel();
            let answers = Answers::new(UnboundedReceiverStream::new(taken));
            Self { requests, answers }
        }

        fn send(&self, has_entries: bool) -> oneshot::Sender<Answer> {
            let (answer, answered) = oneshot::channel();
            let answer_there = answered.map(|answer| answer.unwrap_or(Err("lost"))).boxed();
            let sent = Sent {
                has_entries,
                answer: answer_there,
            };
            assert!(self.requests.send(sent).is_ok());
            answer
        }

        /// What is told now, if anything.
        fn told(&mut self) -> Option<Answer> {
            self.answers.next().now_or_never().flatten()
        }
    }

    #[tokio::test]
    async fn answers_are_told_in_order_and_at_once() {
        let mut other = Other::new();
        let (first, second) = (other.send(true), other.send(true));
        second.send(Ok(Ok(2))).unwrap();
        assert_eq!(other.told(), None);
        first.send(Ok(Ok(1))).unwrap();
        assert_eq!(other.told(), Some(Ok(Ok(1))));
        assert_eq!(other.told(), Some(Ok(Ok(2))));
        assert_eq!(other.told(), None);
    }

    #[tokio::test]
    async fn an_answer_is_not_told_before_those_to_the_requests_without_entries_behind_it() {
        let mut other = Other::new();
        let sent: Vec<_> = [true, false, false, true, false]
            .map(|has_entries| other.send(has_entries))
            .into();
        let told = [None, None, Some(Ok(Ok(1))), None, Some(Ok(Ok(2)))];
        for ((answer, position), expected) in sent.into_iter().zip([1, 1, 1, 2, 2]).zip(told) {
            answer.send(Ok(Ok(position))).unwrap();
            assert_eq!(other.told(), expected);
        }
    }

    #[tokio::test]
    async fn a_request_that_is_sent_when_an_answer_is_there_already_counts_as_well() {
        let mut other = Other::new();
        let entries = other.send(true);
        assert_eq!(other.told(), None);
        // Both were written into the leader's sockets while it stood still, say.
        entries.send(Ok(Ok(1))).unwrap();
        let commit = other.send(false);
        assert_eq!(other.told(), None);
        commit.send(Ok(Ok(1))).unwrap();
        assert_eq!(other.told(), Some(Ok(Ok(1))));
    }

    #[tokio::test]
    async fn an_answer_whose_follower_failed_is_not_told() {
        let mut other = Other::new();
        let (entries, commit, more) = (other.send(true), other.send(false), other.send(true));
        entries.send(Ok(Ok(1))).unwrap();
        commit.send(Ok(Err("another leads"))).unwrap();
        more.send(Ok(Ok(2))).unwrap();
        assert_eq!(other.told(), Some(Ok(Err("another leads"))));
        assert_eq!(other.told(), None);
    }

    #[tokio::test]
    async fn it_ends_after_the_last_answer() {
        let sent = [1, 2].map(|position| Sent {
            has_entries: true,
            answer: ready::<Answer>(Ok(Ok(position))),
        });
        let answers = Answers::new(futures_util::stream::iter(sent));
        assert_eq!(answers.collect::<Vec<_>>().await, [Ok(Ok(1)), Ok(Ok(2))]);
    }
}
