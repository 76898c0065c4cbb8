use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use synod_machine::{
    Answer, ParticipantName, ParticipantView, Query,
    limits::Misuse,
    participant_door::{Ask, Call},
};
use synod_net::{Name, Role, Who};

use crate::{
    client::nonsense,
    core::Core,
    deadline::Deadline,
    error::{Error, Why},
    party::Party,
    wire::encode,
};

/// What a participant is given to answer a greeting: longer than anybody waits for one.
const GREETING_WITHIN_MS: u32 = 10_000;

/// Where participants are: asked of the log once, and again when one is not where it was.
#[derive(Default)]
pub(crate) struct Directory {
    known: Mutex<BTreeMap<ParticipantName, Arc<Party>>>,
}

impl Directory {
    fn find(&self, name: &ParticipantName) -> Option<Arc<Party>> {
        self.known.lock().expect("nothing panics while it is held").get(name).cloned()
    }

    /// Takes note of an address and a store. A connection to the same of both is kept.
    fn note(&self, view: &ParticipantView) -> Result<Arc<Party>, Error> {
        let ParticipantView { name, address, incarnation, .. } = view;
        let who = Name::new(name.as_str()).map_err(|_| {
            Misuse::Contradiction("a participant's name must be one that a certificate can carry")
        })?;
        let mut known = self.known.lock().expect("nothing panics while it is held");
        let same =
            |party: &&Arc<Party>| party.address() == address && party.store() == Some(*incarnation);
        if let Some(party) = known.get(name).filter(same) {
            return Ok(Arc::clone(party));
        }
        let who = Who::Client { name: who, role: Role::Participant };
        let greeting = encode(&Ask { within_ms: GREETING_WITHIN_MS, call: Call::Info });
        let party = Party::new(name.as_str(), address, who, greeting).of_store(*incarnation);
        let party = Arc::new(party);
        known.insert(name.clone(), Arc::clone(&party));
        Ok(party)
    }
}

impl Core {
    /// Every registered participant.
    pub(crate) async fn participants(
        &self,
        deadline: Deadline,
    ) -> Result<Vec<ParticipantView>, Error> {
        match self.read(Query::Participants, deadline).await? {
            Answer::Participants(participants) => Ok(participants),
            _ => Err(nonsense()),
        }
    }

    /// Where to reach a participant, as far as is known here, or else as the log says.
    pub(crate) async fn find(
        &self,
        name: &ParticipantName,
        deadline: Deadline,
    ) -> Result<Arc<Party>, Error> {
        match self.directory.find(name) {
            Some(party) => Ok(party),
            None => self.find_anew(name, deadline).await,
        }
    }

    /// Where to reach a participant, as the log says just now.
    pub(crate) async fn find_anew(
        &self,
        name: &ParticipantName,
        deadline: Deadline,
    ) -> Result<Arc<Party>, Error> {
        let registered = self.participants(deadline).await?;
        let found = registered.into_iter().find(|view| view.name == *name);
        let view = found.ok_or_else(|| Error::not_applied(Why::NoParticipant(name.to_string())))?;
        self.directory.note(&view)
    }
}
