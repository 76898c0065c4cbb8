//! What the machine promises, one sentence each. Longer histories are held against naive models
//! in the crate's `tests` folder.

mod forgetting;
mod holds;
mod keys;
mod sessions;
mod verdicts;

use bytes::Bytes;

use crate::clock::LEAP_MS;
use crate::{
    AbortCause, Batch, BranchIncarnation, Command, Machine, Part, ParticipantName, Proposal, Reply,
    Request, RequestId, Seq, SessionId, Timestamp, TxnId,
};

/// A machine that is spoken to one request at a time.
struct Log {
    machine: Machine,
    now: Timestamp,
}

/// One session, counting its requests as a client does.
#[derive(Clone, Copy)]
struct Client {
    session: SessionId,
    seq: u64,
}

impl Log {
    fn new() -> Log {
        Log { machine: Machine::new(), now: Timestamp(1_000) }
    }

    fn apply(&mut self, request: Request) -> Reply {
        let mut applied = self.machine.apply(Batch { stamp: self.now, requests: vec![request] });
        assert_eq!(self.machine.hash(), self.machine.hash_anew());
        assert_eq!(applied.len(), 1);
        applied.remove(0).reply
    }

    /// Time passes, with a batch every so often.
    fn pass(&mut self, mut ms: u64) {
        while ms > 0 {
            let step = ms.min(LEAP_MS);
            self.now.0 += step;
            ms -= step;
            self.machine.apply(Batch { stamp: self.now, requests: Vec::new() });
        }
    }

    fn unnamed(&mut self, command: Command) -> Reply {
        self.apply(Request { id: None, acked: Seq::ZERO, command })
    }

    fn open(&mut self) -> Client {
        let open = Command::OpenSession { owner: "test".to_owned(), ttl_ms: 10_000 };
        match self.unnamed(open) {
            Reply::Session(session) => Client { session, seq: 0 },
            other => panic!("no session: {other:?}"),
        }
    }

    /// Two registered participants, east and west.
    fn with_shards() -> (Log, Client) {
        let mut log = Log::new();
        let mut client = log.open();
        for name in ["east", "west"] {
            log.ask(&mut client, register(name, 1));
        }
        (log, client)
    }

    fn ask(&mut self, client: &mut Client, command: Command) -> Reply {
        let request = client.request(command);
        self.apply(request)
    }

    fn commit(&mut self, client: &mut Client, n: u64) -> Reply {
        let txn = client.txn(n);
        self.ask(client, commit(txn, &["east", "west"]))
    }

    fn ack_all(&mut self, txn: TxnId) {
        for name in ["east", "west"] {
            self.unnamed(ack(name, txn));
        }
    }
}

impl Client {
    /// The next request; everything before it has been answered.
    fn request(&mut self, command: Command) -> Request {
        self.seq += 1;
        Request { id: Some(self.id(self.seq)), acked: Seq::new(self.seq), command }
    }

    /// The next request, while every answer is still awaited.
    fn unacked_request(&mut self, command: Command) -> Request {
        Request { acked: Seq::ZERO, ..self.request(command) }
    }

    fn id(&self, seq: u64) -> RequestId {
        RequestId { session: self.session, seq: Seq::new(seq) }
    }

    fn txn(&self, n: u64) -> TxnId {
        TxnId { session: self.session, n }
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> Command {
    Command::Put { key: bytes(key), value: bytes(value) }
}

fn name(of: &str) -> ParticipantName {
    ParticipantName::new(of)
}

fn register(of: &str, incarnation: u64) -> Command {
    let (name, incarnation) = (name(of), BranchIncarnation(incarnation));
    Command::RegisterParticipant { name, incarnation, address: "127.0.0.1:1".to_owned() }
}

fn parts(of: &[&str]) -> Vec<Part> {
    let part = |of: &&str| Part { participant: name(of), incarnation: BranchIncarnation(1) };
    of.iter().map(part).collect()
}

fn commit(txn: TxnId, of: &[&str]) -> Command {
    Command::Decide { txn, outcome: Proposal::Commit { parts: parts(of), multi: None } }
}

fn abort(txn: TxnId) -> Command {
    let cause = AbortCause::InDoubtGrace { participant: name("east") };
    Command::Decide { txn, outcome: Proposal::Abort { cause } }
}

fn ack(of: &str, txn: TxnId) -> Command {
    Command::Ack { participant: name(of), txns: vec![txn] }
}
