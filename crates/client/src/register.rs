use bytes::Bytes;
use synod_machine::{
    Answer, Command, Name, Query, RegisterCommand, RegisterReply, RegisterView, Reply, Revision,
};

use crate::{
    client::{Client, nonsense},
    error::Error,
};

/// A register that is written once: the first proposal stands for ever, and every later proposer
/// is told it. It is neither changed nor removed.
///
/// ```no_run
/// # async fn example(client: synod_client::Client) -> Result<(), synod_client::Error> {
/// let chosen = client.register("schema/7").propose("first").await?;
/// println!("{:?} stands, {}", chosen.value, if chosen.ours { "ours" } else { "another's" });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Register {
    client: Client,
    name: Name,
}

/// What stands in a register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The value.
    pub value: Bytes,
    /// The revision at which it was chosen.
    pub at: Revision,
    /// Who proposed it: the owner of that session.
    pub by: String,
    /// Whether this call did. The same value from another call is another proposal.
    pub ours: bool,
}

impl Client {
    /// The register of a name.
    pub fn register(&self, name: impl Into<String>) -> Register {
        Register { client: self.clone(), name: Name::new(name) }
    }

    /// Registers whose names begin with `prefix` and come after `after`, in the order of names, and
    /// whether there are more.
    pub async fn registers(
        &self,
        prefix: impl Into<String>,
        after: Option<Name>,
        limit: u32,
    ) -> Result<(Vec<RegisterView>, bool), Error> {
        match self.read(Query::Registers { prefix: prefix.into(), after, limit }).await? {
            Answer::Registers { registers, more, .. } => Ok((registers, more)),
            _ => Err(nonsense()),
        }
    }
}

impl Register {
    /// Proposes a value of up to 64 KiB; what stands from here on, whosever it is.
    pub async fn propose(&self, value: impl Into<Bytes>) -> Result<Chosen, Error> {
        let (name, value) = (self.name.clone(), value.into());
        let command = Command::Register(RegisterCommand::Propose { name, value });
        let chosen = |reply| match reply {
            Reply::Register(RegisterReply::Chosen { value, at, by, ours }) => {
                Some(Chosen { value, at, by, ours })
            }
            _ => None,
        };
        self.client.submit(command, chosen).await
    }

    /// What stands in it, if anything was chosen.
    pub async fn get(&self) -> Result<Option<RegisterView>, Error> {
        match self.client.read(Query::Register { name: self.name.clone() }).await? {
            Answer::Register { register, .. } => Ok(register),
            _ => Err(nonsense()),
        }
    }
}
