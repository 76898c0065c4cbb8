use std::ops::AddAssign;

macro_rules! sights {
    ($($name:ident = $told:literal,)+) => {
        /// A rare thing that happens in universes. Checks that hold where nothing happens say
        /// nothing: a run that never saw one of these was no test.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Sight {
            $(#[doc = $told] $name,)+
        }

        impl Sight {
            /// Every one of them.
            pub const ALL: [Sight; [$(Sight::$name),+].len()] = [$(Sight::$name),+];

            /// What it is, in words.
            pub fn name(self) -> &'static str {
                match self {
                    $(Sight::$name => $told,)+
                }
            }
        }
    };
}

sights! {
    Crash = "a node loses its power",
    Survived = "a batch on its way to the disk is there after a crash",
    Lost = "a crash loses a batch on its way to the disk",
    Reign = "a node leads at a new ballot",
    Rot = "a record decays on a disk",
    LogRot = "bits of a write-ahead log flip",
    LostWrite = "a write that a disk acknowledged was never made",
    Misdirected = "a write was made in another place",
    Gone = "a node finds its disk decayed, and is gone",
    GoneLog = "a node finds its write-ahead log damaged, and is gone",
    OlderImage = "a node is put on an older image of its disk, is told so, and is gone",
    SyncFailed = "a call of a disk fails, and the process ends",
    DiskFull = "a batch finds no room",
    AfterSync = "a crash between a sync and the words that rely on it",
    CutAmidWords = "a crash between the words of one step",
    CutBeforeAnswers = "a crash between the words of a step and its answers",
    CutAmidAnswers = "a crash between the answers of one step",
    CutAfterAll = "a crash right after all that a step says",
    Noop = "a no-op is chosen",
    Effect = "a request takes effect",
    Repeat = "a request comes again after it took effect",
    Never = "a request is settled as never",
    SettledApplied = "a request that its client gave up is settled as done",
    Fence = "a session is fenced",
    Expired = "a session ends for the silence of its owner",
    Committed = "a transaction commits",
    Aborted = "a transaction aborts",
    Overtaken = "a commit meets an abort that was decided before it",
    Fenced = "a commit comes after the end of its owner's session",
    DecidedTwice = "a commit comes again after it was decided",
    DeathDeciding = "an owner dies while its commit is in the log's hands",
    Locked = "a prepare meets a lock",
    PreparedTwice = "a prepare comes again while its branch is in doubt",
    LatePrepare = "a prepare comes after its transaction was aborted",
    PrepareAfterEnd = "a prepare comes after its branch was ended",
    EarlyVerdict = "a verdict comes before the prepare is durable",
    DoubtAtStart = "a participant starts with a branch in doubt",
    ReadWaits = "a read waits for a transaction in doubt",
    ReadWaitsForFound = "a read waits for a branch that its participant found at its start",
    ReadInVain = "a read has waited too long, and is told for which transaction",
    DoubtOverruled = "a participant asks to abort what has committed",
    DoubtAcrossReigns = "a participant's abort is answered in another reign than it was asked in",
    Snapshot = "a snapshot is written",
    SnapshotUnled = "a snapshot is written while nobody serves",
    SnapshotNoRoom = "a snapshot finds no room",
    SnapshotFailed = "a call fails under a snapshot that is being written",
    ChunkUnkept = "a chunk of another node's snapshot finds no room, or a call fails under it",
    Unnamed = "a crash takes a snapshot the name that it had just been given",
    FoundStanding = "a node starts with a snapshot that it had removed, or did not know to stand",
    UnreadShelf = "a node cannot read its snapshots when it starts, and is started again",
    Trim = "a log is trimmed",
    Install = "a snapshot is received whole",
    InstallUnderVotes = "a snapshot is received whole, with votes above it",
    Resumed = "a transfer is taken up that another process began",
    Older = "a node starts from an older snapshot, the newest being damaged",
    Hollow = "a node starts without a snapshot that reaches its log",
    Ahead = "a node starts from a snapshot that its log did not know of",
    BehindTrim = "a node campaigns that lacks what another has trimmed",
    TwoLeaders = "two nodes take themselves for leaders",
    TwoServe = "a deposed leader still serves beside the next one",
    TwoCampaigns = "two nodes campaign at once",
    CampaignUnderLeader = "a node campaigns while another leads",
    Deposed = "a leader is deposed by a higher ballot",
    Abdicated = "a leader gives up although nobody has deposed it",
    CampaignRefused = "a campaign is refused",
    LeaderRefused = "a leader is refused",
    Learned = "chosen decrees are fetched from a peer",
    ManyPages = "a promise comes in several pages",
    FaultyOwn = "a campaigner cannot read a record of its own",
    LostReported = "a campaign is told of chosen slots whose decrees are lost",
    FaultyReported = "a damaged record is reported to a campaign",
    HeldReported = "a vote is reported without its decree, which the campaigner holds",
    ChosenReported = "a promise reports what is chosen above its watermark",
    NoopOverVotes = "a no-op is proposed where a minority has voted for something",
    ChosenAdopted = "a reign proposes again what an earlier one had chosen",
    MinorityAdopted = "a reign adopts what only a minority has voted for",
    VoteReplaced = "a vote is replaced by one for another decree",
    OwnLost = "a proposer learns that another decree than its own is chosen",
    LeaderVotesLast = "a decree is chosen without the vote of its leader",
    ChosenWithoutLeader = "a decree is chosen while its leader is off",
    ChosenAboveGap = "a decree is chosen above a slot that is not",
    WatermarkFirst = "a watermark overtakes an accept that it covers",
    StalledLeader = "a leader gives up over a disk that stands still",
    FullLeader = "a leader's disk is full",
    PausedLeader = "a leader stands still",
    CutLeader = "links break around a leader in a shape of OmniPaxos",
    AllDown = "all nodes are off at once",
    LateWord = "a word arrives of a node that is off",
    BrokenStart = "the power goes while a node starts",
    Killed = "a node's process ends, and its machine goes on",
    Blackout = "all nodes lose their power at once",
    Paused = "a node stands still, and its clock goes on",
    ClockPaused = "a node stands still, and its clock with it",
    Lagging = "a node is woken late for a while",
    WallJump = "a wall clock jumps",
    Stalled = "a disk stands still for a while",
    StalledForEver = "a disk stands still until trouble ends",
    SlowDisk = "a disk is slow for a while",
    Mended = "all broken links are whole again",
    Strayed = "somebody outside the cluster loses others out of sight",
    Dozed = "somebody outside the cluster stands still",
    ShardStalled = "a participant's disk stands still for a while",
    Forsaken = "a leader is alone with those who ask it",
    Jammed = "words wait on links, and come all at once",
    CutIsolated = "a node is cut off from all others",
    CutSplit = "the nodes are split into two sides",
    CutPartial = "two nodes do not hear each other",
    CutOneWay = "one direction of a link breaks",
    CutDeaf = "a node hears nobody, and is heard",
    CutMute = "a node is heard by nobody, and hears",
    CutFlapping = "links go up and down",
    CutQuorumLoss = "links break in the shape of a quorum loss",
    CutConstrained = "links break in the shape of a constrained election",
    CutChained = "links break in the shape of a chain",
    Death = "an owner or a participant dies",
    ShardFull = "a participant finds no room on its disk, and ends",
    ShardFailed = "a sync of a participant fails, and its process ends",
    ShardAfterSync = "a participant loses its power after a sync, before it says a word",
    AbortedByForce = "an operator aborts a transaction that was open",
    EndedByForce = "an operator ends a session that lived",
    Renewed = "a lease is renewed",
    LeaseRanOut = "a lease runs out on its owner's clock",
    LeaseExpired = "a lease ends for the silence of its owner",
    ExpiryOverruled = "the end of a lease comes after it was used, or in another reign",
    LockHeld = "a lock comes to a holder that counts on it",
    Queued = "a lock is held, and another waits for it",
    Woken = "whoever waits for a lock hears that it has come",
    Watched = "a watch is told of something",
    WatchedMany = "several watches of one call are told of something",
    WatchJoins = "a watch that joins others late is told of what it had missed",
    LockBroken = "an operator takes a lock away from whoever holds it",
    LeaseBroken = "an operator ends a lease that lives",
    ClaimBroken = "an operator ends a claim",
    BrokenRefused = "whoever had a lock that was taken away is refused under its token",
    HandedOver = "an office passes on to whom its incumbent was to leave for",
    Gap = "a watch hears that what it missed is forgotten",
    WatchedInstall = "a watch is told of what a snapshot brought",
    ToldAgain = "what was done under a key is asked for again",
    KeyEnded = "a key ends with the lease that it hangs on",
    GuardFailed = "something is refused for what somebody should hold",
    GuardedCommit = "a transaction commits on condition that a name is claimed",
    ServiceRead = "a read of a service sees all",
    PrizeRead = "a read of a lock or an election sees all",
    PrizeReadPast = "a lock or an election is read of at least a revision, or as a node has it",
    ClaimedByAnother = "a name is another's that somebody claims or gives back",
    ProposedAgain = "a register has its value when another is proposed",
    CounterFull = "a sum is no number that a counter can be",
    CounterOther = "a counter is not what it is to be set from",
    BarrierOpen = "a barrier opens",
    JournalTrimmed = "a journal is trimmed",
    AppendedAnew = "an entry is appended to a journal that was trimmed whole",
    GroupAhead = "a group of readers is further on than it says",
    QueueLeft = "somebody leaves the queue for a lock",
    Switchover = "an incumbent is told to leave for another",
    BarredByPause = "nobody is granted while an election is paused",
    BarredByItself = "a candidate says that it must not be granted",
    BarredUnheard = "a candidate has said too little of itself, or too long ago",
    BarredBehind = "a candidate has not come far enough, or is too far behind",
    ChildKilled = "what is done under a lease is killed when it runs out",
    ChildAwaited = "what is done under a lock is waited for before that is given back",
    Transfer = "a leader is told to let another lead",
    CalledToLead = "a leader that has ended its reign calls another to lead",
    LeadsAsCalled = "a node leads at the ballot that it was called to",
    LeasedRead = "a read is answered by a lease",
    Lapsed = "an answer comes too late for its lease",
    VowHeld = "a campaign waits for the end of a vow",
    NearbyRead = "a node that does not lead answers a read that sees all",
    AtLeastRead = "a read of at least a revision is answered",
    Aged = "a stale read tells its age",
}

/// How often each was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sights([u64; Sight::ALL.len()]);

impl Sights {
    /// How often this one was.
    pub fn times(&self, sight: Sight) -> u64 {
        self.0[sight as usize]
    }

    /// Those that were never seen.
    pub fn unseen(&self) -> Vec<Sight> {
        Sight::ALL.into_iter().filter(|sight| self.times(*sight) == 0).collect()
    }

    /// How many of them were seen at all.
    pub fn kinds_seen(&self) -> usize {
        Sight::ALL.len() - self.unseen().len()
    }

    /// Which were seen, each once.
    pub(crate) fn kinds(self) -> Sights {
        Sights(self.0.map(|times| times.min(1)))
    }

    /// It was seen.
    pub(crate) fn see(&mut self, sight: Sight) {
        self.0[sight as usize] += 1;
    }
}

impl Default for Sights {
    fn default() -> Sights {
        Sights([0; Sight::ALL.len()])
    }
}

impl AddAssign for Sights {
    fn add_assign(&mut self, other: Sights) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sight has its own count, and those of two universes add up.
    #[test]
    fn each_sight_is_counted_by_itself() {
        let mut sights = Sights::default();
        assert_eq!(sights.unseen(), Sight::ALL);
        sights.see(Sight::Death);
        let mut both = sights;
        both += sights;
        assert_eq!((both.times(Sight::Death), both.times(Sight::Crash)), (2, 0));
        assert_eq!((both.kinds_seen(), both.kinds().times(Sight::Death)), (1, 1));
        for (place, sight) in Sight::ALL.into_iter().enumerate() {
            assert_eq!(sight as usize, place, "{}", sight.name());
        }
    }
}
