use std::sync::{Mutex, MutexGuard};

use synod_machine::{Command, RequestId, Seq, SessionId, TxnId, owner::Numbers};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout_at,
};

use crate::{book::Book, deadline::Deadline, error::Why};

/// How far the newest request may be ahead of the oldest unanswered one. The machine keeps 1 024
/// replies a session and refuses what would be one more.
pub(crate) const OPEN_MAX: usize = 1_000;
/// With less room than this, settled requests are no longer kept for others to ask about.
const ROOM_LOW: usize = OPEN_MAX / 2;

/// A session: the name under which requests take effect at most once.
pub(crate) struct Session {
    id: SessionId,
    book: Mutex<Book>,
    /// As many permits as the watermark is below its limit; given out in the order of asking.
    room: Semaphore,
    ended: watch::Sender<bool>,
    /// The transactions that it owns.
    txns: Mutex<Numbers>,
}

impl Session {
    pub(crate) fn new(id: SessionId) -> Session {
        Session {
            id,
            book: Mutex::new(Book::new()),
            room: Semaphore::new(OPEN_MAX),
            ended: watch::Sender::new(false),
            txns: Mutex::new(Numbers::new(id)),
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// Waits for its turn, and takes the next number. From here on the caller must see to it that
    /// the number is closed or settled; there is no await in between.
    pub(crate) async fn name_request(&self, deadline: Deadline) -> Result<RequestId, Why> {
        self.keep_room();
        // There is room as a rule, and no timer to be made. A permit is free only while nobody
        // waits for one, so this overtakes nobody.
        match self.room.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => match timeout_at(deadline.at(), self.room.acquire()).await {
                Ok(Ok(permit)) => permit.forget(),
                Ok(Err(_)) | Err(_) => return Err(Why::TooManyOpen),
            },
        }
        Ok(RequestId { session: self.id, seq: self.book().open() })
    }

    /// What every request tells: below it nothing is open.
    pub(crate) fn acked(&self) -> Seq {
        self.book().acked()
    }

    /// The request was answered, or certainly never heard.
    pub(crate) fn close(&self, request: RequestId) {
        let rose = self.book().close(request.seq);
        self.make_room(rose);
    }

    /// The caller has heard that the fate of its request is unknown.
    pub(crate) fn tell(&self, request: RequestId) {
        self.book().tell(request.seq);
    }

    /// The fate of a request is known that was not answered.
    pub(crate) fn settle(&self, request: RequestId) {
        let rose = self.book().settle(request.seq);
        self.make_room(rose);
        // Whoever waits for room does not ask again.
        self.keep_room();
    }

    /// A transaction that never was and never will be again.
    pub(crate) fn begin_txn(&self) -> TxnId {
        self.txns().begin()
    }

    /// The transaction is over. What to submit now and then, when enough are.
    pub(crate) fn end_txn(&self, txn: TxnId) -> Option<Command> {
        let mut txns = self.txns();
        txns.end(txn);
        txns.retire()
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Resolves when it has ended.
    pub(crate) async fn ended(&self) {
        // The sender is `self`'s own; it cannot be gone.
        let mut ended = self.ended.subscribe();
        let _ended = ended.wait_for(|ended| *ended).await;
    }

    fn keep_room(&self) {
        if self.room.available_permits() < ROOM_LOW {
            let rose = self.book().release_settled();
            self.make_room(rose);
        }
    }

    fn make_room(&self, rose: u64) {
        // The watermark rises by no more than permits were taken.
        self.room.add_permits(usize::try_from(rose).unwrap_or(OPEN_MAX));
    }

    fn txns(&self) -> MutexGuard<'_, Numbers> {
        self.txns.lock().expect("nothing panics while it is held")
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nothing panics while it is held")
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    /// Room goes to those who wait for it, in the order of asking, and not to whoever asks at the
    /// moment at which there is some.
    #[tokio::test(start_paused = true)]
    async fn who_asks_for_room_later_overtakes_nobody() {
        let session = Arc::new(Session::new(SessionId::new(1)));
        let (now, later) =
            (Deadline::after(Duration::ZERO), Deadline::after(Duration::from_secs(9)));
        let first = session.name_request(now).await.unwrap();
        for _ in 1..OPEN_MAX {
            session.name_request(now).await.unwrap();
        }
        let waiting = tokio::spawn({
            let session = Arc::clone(&session);
            async move { session.name_request(later).await }
        });
        tokio::task::yield_now().await;
        session.close(first);
        assert_eq!(session.name_request(now).await, Err(Why::TooManyOpen));
        assert_eq!(waiting.await.unwrap().unwrap().seq.get(), OPEN_MAX as u64 + 1);
    }

    /// What is settled makes room for those who wait, though nobody else comes to ask for it. (It
    /// did when the next one came, and as long as nobody did, everybody waited.)
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_room_has_it_when_what_was_unknown_is_settled() {
        let session = Arc::new(Session::new(SessionId::new(1)));
        let (now, later) =
            (Deadline::after(Duration::ZERO), Deadline::after(Duration::from_secs(9)));
        let mut unknown = Vec::new();
        for _ in 0..OPEN_MAX {
            unknown.push(session.name_request(now).await.unwrap());
        }
        let waiting = tokio::spawn({
            let session = Arc::clone(&session);
            async move { session.name_request(later).await }
        });
        tokio::task::yield_now().await;
        for request in &unknown {
            session.tell(*request);
        }
        for request in &unknown {
            session.settle(*request);
        }
        assert_eq!(waiting.await.unwrap().unwrap().seq.get(), OPEN_MAX as u64 + 1);
    }
}
