//! S2: what was proposed first in a register stands for ever, and everybody is told that.

use synod_machine::{RegisterCommand, RegisterReply, RegisterView};

use super::{Moment, past::Past};

/// Registers as the simplest model has them.
#[derive(Debug, Default)]
pub(super) struct Registers {
    pub(super) past: Past<RegisterView>,
}

impl Registers {
    /// What a command comes to.
    pub(super) fn does(
        &mut self,
        command: &RegisterCommand,
        moment: &mut Moment<'_>,
    ) -> RegisterReply {
        let RegisterCommand::Propose { name, value } = command;
        if let Some(RegisterView { value, at, by, .. }) = self.past.get(name).cloned() {
            return RegisterReply::Chosen { value, at, by, ours: false };
        }
        let (at, by, value) = (moment.change(), moment.client.to_owned(), value.clone());
        let chosen = RegisterView {
            name: name.clone(),
            value: value.clone(),
            at,
            by: by.clone(),
            chosen_at_ms: moment.now_ms,
        };
        self.past.set(name, at, Some(chosen));
        RegisterReply::Chosen { value, at, by, ours: true }
    }
}
