use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc};

use crate::{client::Client, core::Core, error::Error};

/// What is told item by item, so that whoever leaves at any await loses none. `S` is how far it has
/// come, and a step takes it further.
pub(crate) struct Feed<S, T> {
    client: Client,
    step: fn(Arc<Core>, S) -> Step<S, T>,
    ready: VecDeque<T>,
    /// Kept between calls.
    under_way: Option<Step<S, T>>,
    /// `None` while a step has it, and when the feed has ended.
    stand: Option<S>,
}

pub(crate) type Step<S, T> = Pin<Box<dyn Future<Output = Result<(S, Vec<T>), Error>> + Send>>;

impl<S, T> Feed<S, T> {
    pub(crate) fn new(
        client: &Client,
        stand: S,
        step: fn(Arc<Core>, S) -> Step<S, T>,
    ) -> Feed<S, T> {
        let (client, ready) = (client.clone(), VecDeque::new());
        Feed { client, step, ready, under_way: None, stand: Some(stand) }
    }

    /// The next item; `None` after an error, or when the client is closed.
    pub(crate) async fn next(&mut self) -> Option<Result<T, Error>> {
        let core = Arc::clone(&self.client.core);
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            let step = match &mut self.under_way {
                Some(step) => step,
                None => {
                    let stand = self.stand.take()?;
                    self.under_way.insert((self.step)(Arc::clone(&core), stand))
                }
            };
            let heard = tokio::select! {
                biased;
                () = core.closed() => None,
                heard = step => Some(heard),
            };
            self.under_way = None;
            match heard? {
                Ok((stand, items)) => {
                    self.stand = Some(stand);
                    self.ready.extend(items);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
