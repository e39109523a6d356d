//! How long and how often to try again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};
use reqwest::RequestBuilder;

use crate::client::error::ClientError;
use crate::client::http::{Answer, Client};
use crate::client::output;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

fn policy() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_jitter()
        .without_max_times()
}

/// Delays without an end.
pub(crate) fn delays() -> ExponentialBackoff {
    policy().build()
}

/// Sends a request, and sends it again while that may help, for about `patience`, saying so on stderr. Only for
/// requests that may be done twice.
///
/// # Errors
/// The last error when patience ends, and at once the first that will not go away.
pub(crate) async fn send(
    client: &Client,
    patience: Duration,
    request: impl Fn() -> RequestBuilder,
) -> Result<Answer, ClientError> {
    if patience.is_zero() {
        return client.send(request()).await;
    }
    (|| client.send(request()))
        .retry(policy().with_total_delay(Some(patience)))
        .when(ClientError::is_transient)
        .adjust(|error, delay| delay.map(|delay| delay.max(error.retry_after().unwrap_or_default())))
        .notify(|error, delay| output::say(format!("weir: {error}; trying again in {}", show(delay))))
        .await
}

/// A delay as people read it.
pub(crate) fn show(delay: Duration) -> String {
    format!("{:.1} s", delay.as_secs_f64())
}
