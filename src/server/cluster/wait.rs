//! `--wait`: asks again until it is done, and says on stderr what is missing whenever that changes.

use std::time::Duration;

use tokio::time::sleep;

use crate::client::{ClientError, say};

const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// The first answer of which nothing is `pending`.
///
/// # Errors
/// The first error that will not go away by itself. Others are told, and waited out.
pub(super) async fn until<T>(
    mut ask: impl AsyncFnMut() -> Result<T, ClientError>,
    mut pending: impl FnMut(&T) -> Option<String>,
) -> Result<T, ClientError> {
    let mut said = String::new();
    loop {
        let missing = match ask().await {
            Ok(answer) => match pending(&answer) {
                None => return Ok(answer),
                Some(missing) => missing,
            },
            Err(error) if error.is_transient() => error.to_string(),
            Err(error) => return Err(error),
        };
        if missing != said {
            say(format_args!("weir: {missing}"));
            said = missing;
        }
        sleep(POLL_INTERVAL).await;
    }
}
