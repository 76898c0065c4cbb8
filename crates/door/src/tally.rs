/// Where the door's numbers are shown: on the page of the process in which it runs.
pub trait Tally: Send + Sync + 'static {
    /// Whether it listens.
    fn open(&self, open: bool);
    /// So many connections are there now.
    fn connections(&self, count: usize);
    /// A request was answered.
    fn answered(&self, status: u16);
    /// A connection was turned away or cut off.
    fn refused(&self, why: Cut);
}

/// Why a connection was turned away or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// There were as many as there may be.
    Connections,
    /// No certificate of this cluster was shown.
    Handshake,
    /// What came is no HTTP, or can be read in two ways.
    Malformed,
    /// A header or a body took too long.
    Slow,
    /// What was asked for was not taken.
    Stalled,
}

impl Cut {
    /// For a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Cut::Connections => "connections",
            Cut::Handshake => "handshake",
            Cut::Malformed => "malformed",
            Cut::Slow => "slow",
            Cut::Stalled => "stalled",
        }
    }
}
