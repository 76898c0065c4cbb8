use std::{fmt, sync::Arc, time::Duration};

use synod_machine::{Answer, Interest, Name, Office, Query, Revision};
use tokio::time::Instant;

use crate::{
    client::nonsense,
    core::Core,
    cursor::{Cursor, Heard},
    deadline::Deadline,
    election::Election,
    error::Error,
    feed::Feed,
    turn::Whose,
    watch::{EVERY, STALE_AFTER, is_final},
};

/// What an observer of an election is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It stands so since this revision. The first item tells how it stands when it is first asked.
    Changed {
        /// The revision.
        revision: Revision,
        /// Who is the incumbent, if anybody is, what it proclaims, whom it is to leave for, and
        /// whether the election is paused.
        office: Office,
    },
    /// It stood as was told before up to this revision; a quorum was known to be there at most two
    /// seconds ago.
    Unchanged(Revision),
    /// No node answers that knows a quorum to be there. What was told last may be old.
    Stale {
        /// For how long.
        silent: Duration,
    },
}

/// How an election stands, as it changes. See [`Election::observe`].
pub struct Standings {
    name: Name,
    feed: Feed<Stand, Standing>,
}

/// How far it has come.
enum Stand {
    /// Nothing was told yet, since then.
    Before(Name, Instant),
    Following(Name, Cursor),
}

impl Election {
    /// Tells how it stands and whenever that changes, and something at least about every second,
    /// over failures of nodes. Nothing is asked before the first [`Standings::next`].
    ///
    /// ```no_run
    /// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
    /// use synod_client::Standing;
    /// let mut standings = client.election("catalog/primary").observe();
    /// while let Some(standing) = standings.next().await {
    ///     match standing? {
    ///         Standing::Changed { office, .. } => println!("{:?}", office.incumbent),
    ///         Standing::Unchanged(_) => {}
    ///         Standing::Stale { silent } => eprintln!("nothing heard for {silent:?}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn observe(&self) -> Standings {
        let stand = Stand::Before(self.name().clone(), Instant::now());
        let feed = Feed::new(self.client(), stand, |core, stand| Box::pin(stand.step(core)));
        Standings { name: self.name().clone(), feed }
    }
}

impl Standings {
    /// The next item. `None` after an error, or when the client is closed. May be left at any
    /// await: no item is lost.
    pub async fn next(&mut self) -> Option<Result<Standing, Error>> {
        self.feed.next().await
    }
}

impl fmt::Debug for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standings").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Stand {
    async fn step(self, core: Arc<Core>) -> Result<(Stand, Vec<Standing>), Error> {
        let (name, mut cursor) = match self {
            Stand::Before(name, since) => return look(core, name, None, since).await,
            Stand::Following(name, cursor) => (name, cursor),
        };
        let told = match cursor.listen(EVERY).await? {
            Heard::Changes(changes) => {
                let rows = changes.into_iter();
                let told = rows.flat_map(|(at, row)| row.into_iter().map(move |one| (at, one)));
                let told = told.filter_map(|(revision, change)| {
                    Some(Standing::Changed { revision, office: Office::since(change)? })
                });
                told.collect()
            }
            Heard::Gap { .. } => return look(core, name, Some(cursor), Instant::now()).await,
            Heard::Nothing if cursor.silent() > STALE_AFTER => {
                vec![Standing::Stale { silent: cursor.silent() }]
            }
            Heard::Nothing => vec![Standing::Unchanged(cursor.after())],
        };
        Ok((Stand::Following(name, cursor), told))
    }
}

/// How it stands as a whole. Who has been told before goes on where it was if nobody knows.
async fn look(
    core: Arc<Core>,
    name: Name,
    cursor: Option<Cursor>,
    since: Instant,
) -> Result<(Stand, Vec<Standing>), Error> {
    let query = Query::Election { name: name.clone() };
    let (revision, office): (Revision, Office) =
        match core.read(query, Deadline::after(EVERY)).await {
            Ok(Answer::Election { revision, election }) => {
                (revision, election.map(|view| view.office).unwrap_or_default())
            }
            Ok(_) => return Err(nonsense()),
            Err(error) if is_final(&error) => return Err(error),
            Err(_) => {
                let silent = cursor.as_ref().map_or_else(|| since.elapsed(), Cursor::silent);
                return Ok((Stand::Before(name, since), vec![Standing::Stale { silent }]));
            }
        };
    let interest = Interest::Election { name: name.clone() };
    let mut cursor = cursor.unwrap_or_else(|| Cursor::new(&core, interest, revision));
    cursor.skip_to(revision);
    Ok((Stand::Following(name, cursor), vec![Standing::Changed { revision, office }]))
}
