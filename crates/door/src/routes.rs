//! Everything that can be asked for. A path that fits two rows of a method is served by the first.

use hyper::StatusCode;
use synod_client::machine::{REGISTER_BYTES_MAX, limits::VALUE_BYTES_MAX};

use crate::{
    barriers,
    caller::Needs::{Admin, Read, Write},
    claims, counters, elections, journals, kv, leases,
    limits::{JSON_BYTES_MAX, MULTI_BYTES_MAX},
    locks, multi, registers, requests,
    route::{Kind, Param, Route, Says, Shows, Takes},
    shape::Shaped,
    status, txns, watch,
};

const LIMIT: Param =
    Param::optional("limit", Kind::Number, "At most so many; a list ends at 1 MiB anyway");
const IF_MATCH: Param = Param::optional(
    "If-Match",
    Kind::Text,
    "Only if it was last set at this revision, in quotes, or exists: *",
);
const IF_NONE_MATCH: Param =
    Param::optional("If-None-Match", Kind::Text, "Only if it does not exist: *");
const MISMATCH: Says = Says::fault(
    StatusCode::PRECONDITION_FAILED,
    "It is not as expected; what is there is in `present`. Nothing was changed",
);
const PREFIX: Param =
    Param::optional("prefix", Kind::Text, "Only those whose names begin with this");
const AFTER: Param =
    Param::optional("after", Kind::Text, "Where to go on: `next` of an earlier list");
const NAMED: &[Param] = &[PREFIX, AFTER, LIMIT];
const WAIT_MS: Param = Param::optional("wait_ms", Kind::Number, "How long to wait for news");
const TAKEN: Says =
    Says::fault(StatusCode::CONFLICT, "Another has it; who is in `present`. Nothing was changed");
const LEASE_ENDED: Says = Says::fault(StatusCode::GONE, "There is no such lease any more");
const ABSENT: Says = Says::fault(StatusCode::NOT_FOUND, "There is no such thing");

pub(crate) static ROUTES: &[Route] = &[
    Route::get("/v1/kv/{key...}", "kvGet", Read, |ask| Box::pin(kv::get(ask)))
        .what("A key: its value as it is, and its revision as an entity tag")
        .query(&[
            Param::optional(
                "at_least",
                Kind::Number,
                "The state of this revision or a later one, from any node",
            ),
            Param::optional(
                "stale",
                Kind::Flag,
                "Whatever some node knows; `Synod-Age-Ms` says how old that may be",
            ),
        ])
        .headers(&[Param::optional("If-None-Match", Kind::Text, "The revision that is known")])
        .says(&[
            Says { status: StatusCode::OK, what: "What the key holds", shows: Shows::Octets },
            Says {
                status: StatusCode::NOT_MODIFIED,
                what: "It is as it is known",
                shows: Shows::Nothing,
            },
            ABSENT,
        ]),
    Route::put("/v1/kv/{key...}", "kvPut", Write, |ask| Box::pin(kv::put(ask)))
        .what("Sets a key, if it is as expected")
        .query(&[Param::optional(
            "lease",
            Kind::Number,
            "The lease of the caller with which it ends; without, it stands for good",
        )])
        .headers(&[IF_MATCH, IF_NONE_MATCH])
        .takes(Takes::Octets { bytes_max: VALUE_BYTES_MAX })
        .says(&[Says::json::<kv::Written>("It is set"), MISMATCH, LEASE_ENDED]),
    Route::delete("/v1/kv/{key...}", "kvDelete", Write, |ask| Box::pin(kv::delete(ask)))
        .what("Removes a key, if it is as expected")
        .headers(&[IF_MATCH])
        .says(&[Says::json::<kv::Removed>("It is not there any more"), MISMATCH]),
    Route::get("/v1/kv", "kvList", Read, |ask| Box::pin(kv::list(ask)))
        .what("Keys in byte order, with what they hold")
        .query(&[
            Param::optional("prefix", Kind::Octets, "Only keys that begin with this"),
            LIMIT,
            Param::optional("cursor", Kind::Text, "Where to go on: `next` of an earlier list"),
        ])
        .says(&[Says::json::<kv::Rows>("As they are at one moment")]),
    Route::post("/v1/kv:multi", "kvMulti", Write, |ask| Box::pin(multi::multi(ask)))
        .what("Guards, writes and reads of one moment: all or nothing")
        .takes(Takes::json::<multi::MultiRequest>(MULTI_BYTES_MAX))
        .says(&[
            Says::json::<multi::MultiDone>("All was done, at one revision"),
            MISMATCH,
            LEASE_ENDED,
        ]),
    Route::get("/v1/watch", "watch", Read, |ask| Box::pin(watch::watch(ask)))
        .what("What changes below a prefix of keys, as it happens, as server-sent events")
        .query(&[
            Param::optional("prefix", Kind::Octets, "Only keys that begin with this"),
            Param::optional(
                "from",
                Kind::Number,
                "What changed after this revision; without, from now on",
            ),
        ])
        .headers(&[Param::optional(
            "Last-Event-ID",
            Kind::Number,
            "Goes on there; stronger than `from`",
        )])
        .says(&[Says {
            status: StatusCode::OK,
            what: "Events: change, caught-up, gap, stale; one each second at least",
            shows: Shows::Events,
        }]),
    Route::post("/v1/leases", "leaseGrant", Write, |ask| Box::pin(leases::grant(ask)))
        .what("A new lease, which the caller is to renew")
        .takes(Takes::json::<leases::LeaseRequest>(JSON_BYTES_MAX))
        .says(&[Says::made::<leases::Leased>("It is granted")]),
    Route::get("/v1/leases", "leaseList", Read, |ask| Box::pin(leases::list(ask)))
        .what("Leases that have not ended")
        .query(&[
            Param::optional("after", Kind::Number, "Where to go on: `next` of an earlier list"),
            LIMIT,
        ])
        .says(&[Says::json::<leases::LeaseRows>("In the order of their ids")]),
    Route::post("/v1/leases/{id}:renew", "leaseRenew", Write, |ask| Box::pin(leases::renew(ask)))
        .what("Renews a lease of the caller, from before this was sent")
        .says(&[
            Says::json::<leases::Leased>(
                "It is held for its time to live from before this was sent",
            ),
            LEASE_ENDED,
        ]),
    Route::post("/v1/leases/{id}:break", "leaseBreak", Admin, |ask| {
        Box::pin(leases::break_it(ask))
    })
    .what("Ends a lease, whosever it is")
    .takes(Takes::json::<leases::Force>(JSON_BYTES_MAX))
    .says(&[Says::json::<leases::Ended>("It has ended, and all that hung on it")]),
    Route::get("/v1/leases/{id}", "leaseShow", Read, |ask| Box::pin(leases::show(ask)))
        .what("A lease")
        .says(&[Says::json::<leases::LeaseRow>("It has not ended"), ABSENT]),
    Route::delete("/v1/leases/{id}", "leaseRevoke", Write, |ask| Box::pin(leases::revoke(ask)))
        .what("Ends a lease of the caller, and all that hangs on it")
        .says(&[Says::json::<leases::Ended>("It has ended")]),
    Route::post("/v1/locks/{name}:break", "lockBreak", Admin, |ask| Box::pin(locks::break_it(ask)))
        .what("Takes a lock away from whoever holds it")
        .takes(Takes::json::<leases::Force>(JSON_BYTES_MAX))
        .says(&[Says::json::<locks::Released>("It is the next one's, or nobody's")]),
    Route::post("/v1/locks/{name}", "lockAcquire", Write, |ask| Box::pin(locks::acquire(ask)))
        .what("Takes a lock, and waits for it if told to")
        .takes(Takes::json::<locks::LockRequest>(JSON_BYTES_MAX))
        .says(&[
            Says::json::<locks::Held>("It is held, as long as its lease is"),
            TAKEN,
            LEASE_ENDED,
        ]),
    Route::get("/v1/locks/{name}", "lockShow", Read, |ask| Box::pin(locks::show(ask)))
        .what("A lock: who holds it, and how many wait")
        .says(&[Says::json::<locks::LockRow>("Somebody holds it"), ABSENT]),
    Route::delete("/v1/locks/{name}", "lockRelease", Write, |ask| Box::pin(locks::release(ask)))
        .what("Lets go of a lock, or of the place in its queue")
        .query(&[Param::required(
            "lease",
            Kind::Number,
            "The lease of the caller on which it hangs",
        )])
        .says(&[Says::json::<locks::Released>("It is the next one's, or nobody's"), LEASE_ENDED]),
    Route::get("/v1/locks", "lockList", Read, |ask| Box::pin(locks::list(ask)))
        .what("Locks that somebody holds")
        .query(NAMED)
        .says(&[Says::json::<locks::LockRows>("In the order of their names")]),
    Route::get("/v1/elections/{name}/is/{candidate}", "electionIs", Read, |ask| {
        Box::pin(elections::is(ask))
    })
    .what("Whether a candidate is the incumbent: 200, or 503")
    .says(&[
        Says::json::<elections::IncumbentRow>("It is"),
        Says::fault(StatusCode::SERVICE_UNAVAILABLE, "It is not, or nobody knows"),
    ]),
    Route::post("/v1/elections/{name}:proclaim", "electionProclaim", Write, |ask| {
        Box::pin(elections::proclaim(ask))
    })
    .what("The incumbent has all know something, such as where it is")
    .takes(Takes::json::<elections::Proclamation>(JSON_BYTES_MAX))
    .says(&[
        Says::json::<elections::Heard>("All are told"),
        LEASE_ENDED,
        Says::fault(StatusCode::CONFLICT, "It is not the incumbent under that token"),
    ]),
    Route::post("/v1/elections/{name}:report", "electionReport", Write, |ask| {
        Box::pin(elections::tell(ask))
    })
    .what("How it is with a candidate, for elections with rules")
    .takes(Takes::json::<elections::CandidateReport>(JSON_BYTES_MAX))
    .says(&[Says::json::<elections::Heard>("It counts from now"), ABSENT, LEASE_ENDED]),
    Route::post("/v1/elections/{name}:pause", "electionPause", Admin, |ask| {
        Box::pin(elections::pause(ask))
    })
    .what("Nobody is granted from here on; the incumbent stays")
    .takes(Takes::json::<leases::Force>(JSON_BYTES_MAX))
    .says(&[Says::json::<elections::Heard>("It is paused")]),
    Route::post("/v1/elections/{name}:resume", "electionResume", Admin, |ask| {
        Box::pin(elections::resume(ask))
    })
    .what("Grants go on")
    .takes(Takes::json::<leases::Force>(JSON_BYTES_MAX))
    .says(&[Says::json::<elections::Heard>("They go on")]),
    Route::post("/v1/elections/{name}:switchover", "electionSwitchover", Admin, |ask| {
        Box::pin(elections::switch_over(ask))
    })
    .what("The incumbent is asked to leave for another, which is granted when it has")
    .takes(Takes::json::<elections::Switchover>(JSON_BYTES_MAX))
    .says(&[
        Says::json::<elections::Heard>("The incumbent is told"),
        Says::fault(StatusCode::CONFLICT, "There is nobody to leave, or to leave for"),
    ]),
    Route::post("/v1/elections/{name}", "electionStand", Write, |ask| {
        Box::pin(elections::stand(ask))
    })
    .what("Stands for election, and waits for the grant if told to")
    .takes(Takes::json::<elections::StandRequest>(JSON_BYTES_MAX))
    .says(&[
        Says::json::<elections::Stands>("It stands, granted or not, as long as its lease is"),
        LEASE_ENDED,
    ]),
    Route::get("/v1/elections/{name}", "electionShow", Read, |ask| Box::pin(elections::show(ask)))
        .what("How an election stands, and who stands")
        .query(&[
            Param::optional(
                "wait",
                Kind::Word(&["change"]),
                "Answers when the incumbent is not the one of `after`",
            ),
            Param::optional(
                "after",
                Kind::Number,
                "The token of the incumbent that is known; 0 or nothing: nobody",
            ),
            WAIT_MS,
        ])
        .says(&[Says::json::<elections::ElectionRow>("As it stands")]),
    Route::delete("/v1/elections/{name}", "electionLeave", Write, |ask| {
        Box::pin(elections::leave(ask))
    })
    .what("Stands no longer. What the incumbent does must have ended: the next is granted by this")
    .query(&[Param::required("lease", Kind::Number, "The lease of the caller on which it stands")])
    .says(&[Says::json::<elections::Left>("It stands no longer"), LEASE_ENDED]),
    Route::get("/v1/elections", "electionList", Read, |ask| Box::pin(elections::list(ask)))
        .what("Elections")
        .query(NAMED)
        .says(&[Says::json::<elections::ElectionRows>("In the order of their names")]),
    Route::post("/v1/claims/{name}:break", "claimBreak", Admin, |ask| {
        Box::pin(claims::break_it(ask))
    })
    .what("Takes a name away from whoever has it")
    .takes(Takes::json::<leases::Force>(JSON_BYTES_MAX))
    .says(&[Says::json::<claims::Unclaim>("It is nobody's")]),
    Route::post("/v1/claims/{name}", "claimTake", Write, |ask| Box::pin(claims::take(ask)))
        .what("Takes a name for an owner, to stand until it is released")
        .takes(Takes::json::<claims::ClaimRequest>(JSON_BYTES_MAX))
        .says(&[
            Says::json::<claims::ClaimedSince>("It is the owner's that was named"),
            TAKEN,
            LEASE_ENDED,
        ]),
    Route::get("/v1/claims/{name}", "claimShow", Read, |ask| Box::pin(claims::show(ask)))
        .what("Who has a name")
        .says(&[Says::json::<claims::ClaimRow>("Somebody has it"), ABSENT]),
    Route::delete("/v1/claims/{name}", "claimRelease", Write, |ask| Box::pin(claims::release(ask)))
        .what("Gives a name back that the caller took")
        .query(&[Param::required("owner", Kind::Text, "For whom it was taken")])
        .says(&[Says::json::<claims::Unclaim>("It is nobody's"), TAKEN]),
    Route::get("/v1/claims", "claimList", Read, |ask| Box::pin(claims::list(ask)))
        .what("Names that are taken")
        .query(NAMED)
        .says(&[Says::json::<claims::ClaimRows>("In the order of their names")]),
    Route::post("/v1/registers/{name}", "registerPropose", Write, |ask| {
        Box::pin(registers::propose(ask))
    })
    .what("Proposes a value for a register that is written once")
    .takes(Takes::Octets { bytes_max: REGISTER_BYTES_MAX })
    .says(&[
        Says::json::<registers::RegisterRow>("This request's value was chosen, for ever"),
        Says {
            status: StatusCode::CONFLICT,
            what: "Another value stands, for ever",
            shows: Shows::Json(<registers::RegisterRow as Shaped>::schema),
        },
    ]),
    Route::get("/v1/registers/{name}", "registerGet", Read, |ask| Box::pin(registers::get(ask)))
        .what("What stands in a register")
        .says(&[Says::json::<registers::RegisterRow>("For ever"), ABSENT]),
    Route::get("/v1/registers", "registerList", Read, |ask| Box::pin(registers::list(ask)))
        .what("Registers in which something was chosen")
        .query(NAMED)
        .says(&[Says::json::<registers::RegisterRows>("In the order of their names")]),
    Route::post("/v1/counters/{name}:add", "counterAdd", Write, |ask| Box::pin(counters::add(ask)))
        .what("Counts up or down, from zero if there is no such counter")
        .takes(Takes::json::<counters::Addition>(JSON_BYTES_MAX))
        .says(&[
            Says::json::<counters::CounterNow>("It was counted"),
            Says::fault(
                StatusCode::CONFLICT,
                "The sum is no number of 64 bits; nothing was changed",
            ),
        ]),
    Route::put("/v1/counters/{name}", "counterSet", Write, |ask| Box::pin(counters::set(ask)))
        .what("Sets a counter, if it is as expected")
        .takes(Takes::json::<counters::Setting>(JSON_BYTES_MAX))
        .says(&[Says::json::<counters::CounterNow>("It is set"), MISMATCH]),
    Route::get("/v1/counters/{name}", "counterGet", Read, |ask| Box::pin(counters::get(ask)))
        .what("A counter")
        .says(&[Says::json::<counters::CounterRow>("It is there"), ABSENT]),
    Route::delete("/v1/counters/{name}", "counterDelete", Write, |ask| {
        Box::pin(counters::delete(ask))
    })
    .what("Removes a counter")
    .says(&[Says::json::<counters::CounterGone>("It is not there any more")]),
    Route::get("/v1/counters", "counterList", Read, |ask| Box::pin(counters::list(ask)))
        .what("Counters")
        .query(NAMED)
        .says(&[Says::json::<counters::CounterRows>("In the order of their names")]),
    Route::post("/v1/barriers/{name}:remove", "barrierRemove", Write, |ask| {
        Box::pin(barriers::remove(ask))
    })
    .what("Removes a barrier that is open")
    .says(&[
        Says::json::<barriers::Removed>("It is not there any more"),
        Says::fault(StatusCode::CONFLICT, "Somebody waits at it; nothing was changed"),
    ]),
    Route::post("/v1/barriers/{name}", "barrierArrive", Write, |ask| {
        Box::pin(barriers::arrive(ask))
    })
    .what("Comes to a barrier, where nobody passes before everybody has come; waits if told to")
    .takes(Takes::json::<barriers::Arrival>(JSON_BYTES_MAX))
    .says(&[
        Says::json::<barriers::Party>("The party is there, and `open` says whether it may pass"),
        LEASE_ENDED,
    ]),
    Route::get("/v1/barriers/{name}", "barrierShow", Read, |ask| Box::pin(barriers::show(ask)))
        .what("A barrier: for how many it is, and how many are there")
        .says(&[Says::json::<barriers::BarrierRow>("It is there"), ABSENT]),
    Route::delete("/v1/barriers/{name}", "barrierLeave", Write, |ask| {
        Box::pin(barriers::leave(ask))
    })
    .what("A party goes, before the barrier opens or after")
    .query(&[Param::required("lease", Kind::Number, "The lease of the party")])
    .says(&[Says::json::<barriers::Gone>("It is gone"), LEASE_ENDED]),
    Route::get("/v1/barriers", "barrierList", Read, |ask| Box::pin(barriers::list(ask)))
        .what("Barriers")
        .query(NAMED)
        .says(&[Says::json::<barriers::BarrierRows>("In the order of their names")]),
    Route::post("/v1/journals/{name}:trim", "journalTrim", Write, |ask| {
        Box::pin(journals::trim(ask))
    })
    .what("Takes away the entries of a journal up to a position")
    .takes(Takes::json::<journals::Upto>(JSON_BYTES_MAX))
    .says(&[Says::json::<journals::Upto>("Up to here they are gone"), ABSENT]),
    Route::post("/v1/journals/{name}", "journalAppend", Write, |ask| {
        Box::pin(journals::append(ask))
    })
    .what("Adds an entry at the end of a journal")
    .takes(Takes::Octets { bytes_max: VALUE_BYTES_MAX })
    .says(&[Says::made::<journals::Appended>("It stands there, for all readers alike")]),
    Route::get("/v1/journals/{name}", "journalRead", Read, |ask| Box::pin(journals::read(ask)))
        .what("Entries of a journal, in the order that all readers see")
        .query(&[
            Param::optional("after", Kind::Number, "Only those after this position"),
            LIMIT,
            WAIT_MS,
        ])
        .says(&[Says::json::<journals::JournalLines>("As they are at one moment")]),
    Route::get("/v1/journals", "journalList", Read, |ask| Box::pin(journals::list(ask)))
        .what("Journals")
        .query(NAMED)
        .says(&[Says::json::<journals::JournalRows>("In the order of their names")]),
    Route::get("/v1/journals/{name}/groups", "journalGroups", Read, |ask| {
        Box::pin(journals::offsets(ask))
    })
    .what("Where the groups of readers of a journal stand")
    .says(&[Says::json::<journals::Offsets>("In the order of their names")]),
    Route::put("/v1/journals/{name}/groups/{group}", "journalCommit", Write, |ask| {
        Box::pin(journals::commit(ask))
    })
    .what("A group of readers has done with all up to a position")
    .takes(Takes::json::<journals::Upto>(JSON_BYTES_MAX))
    .says(&[
        Says::json::<journals::Upto>("It stands there"),
        ABSENT,
        Says::fault(StatusCode::CONFLICT, "It stands further on, or there is no such entry"),
    ]),
    Route::delete("/v1/journals/{name}/groups/{group}", "journalForget", Write, |ask| {
        Box::pin(journals::forget(ask))
    })
    .what("Forgets where a group of readers stands")
    .says(&[Says::json::<journals::Upto>("Where it stood"), ABSENT]),
    Route::post("/v1/txns", "txnCommit", Write, |ask| Box::pin(txns::commit(ask)))
        .what("A transaction over shards: all of it, or nothing")
        .takes(Takes::json::<txns::TxnRequest>(MULTI_BYTES_MAX))
        .says(&[
            Says::json::<txns::TxnDone>("It has committed"),
            Says::fault(StatusCode::CONFLICT, "It was aborted, and nothing of it was done"),
        ]),
    Route::get("/v1/txns/{id}", "txnShow", Read, |ask| Box::pin(txns::show(ask)))
        .what("A transaction: how it ended, why, and who was part of it")
        .says(&[Says::json::<txns::TxnRow>("As the log has it")]),
    Route::get("/v1/txns", "txnList", Read, |ask| Box::pin(txns::list(ask)))
        .what("Transactions that are decided and not acknowledged by all")
        .query(&[AFTER, LIMIT])
        .says(&[Says::json::<txns::TxnRows>("In the order of their ids")]),
    Route::post("/v1/requests/{id}:settle", "requestSettle", Write, |ask| {
        Box::pin(requests::settle(ask))
    })
    .what("Whether a request was applied whose answer was lost; if not, it never will be")
    .says(&[
        Says::json::<requests::Settlement>("For good"),
        ABSENT,
        Says::fault(StatusCode::GONE, "It is so old that nobody knows any more"),
    ]),
    Route::get("/v1/status", "status", Read, |ask| Box::pin(status::status(ask)))
        .what("How the cluster is, and who leads it")
        .says(&[Says::json::<status::Status>("As its nodes see it")]),
];
