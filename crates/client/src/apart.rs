//! What goes on when its caller leaves.

use std::future::Future;

use crate::error::{Error, Why};

/// Does something in a task of its own, so that its caller may leave at any await. What it comes to
/// is dropped there when nobody waits for it any more.
pub(crate) async fn apart<T: Send + 'static>(
    doing: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    // The task is gone without a word only when the whole runtime is shutting down.
    tokio::spawn(doing).await.unwrap_or(Err(Error::no_answer(Why::Closed)))
}
