use hyper::StatusCode;
use synod_client::machine::{Name, RegisterView};

use crate::{answer::Answer, ask::Ask, fault::Fault, numbers::Count, octets, shape::shape};

shape! {
    /// What stands in a register, for ever.
    RegisterRow {
        /// Which.
        register: String,
        /// What was chosen.
        value: Option<String>,
        /// What was chosen, where that is no text.
        value_base64: Option<String>,
        /// The revision at which it was chosen.
        revision: Count,
        /// Who proposed it.
        by: String,
        /// Whether this very request did.
        ours: Option<bool>,
    }
}

shape! {
    /// Registers in the order of their names.
    RegisterRows {
        /// Those in which something was chosen.
        registers: Vec<RegisterRow>,
        /// After which the list goes on, if there are more: give it as `after`.
        next: Option<String>,
    }
}

impl RegisterRow {
    fn new(view: &RegisterView) -> RegisterRow {
        let (value, value_base64) = octets::both(&view.value);
        let (register, by) = (view.name.to_string(), view.by.clone());
        let revision = Count(view.at.get());
        RegisterRow { register, value, value_base64, revision, by, ours: None }
    }
}

/// What stands is the answer, whosever it is: 200 if it is this request's, 409 if it is another's.
pub(crate) async fn propose(ask: Ask) -> Result<Answer, Fault> {
    let register = ask.text("name")?;
    let chosen = ask.client.register(register.clone()).propose(ask.body.clone()).await?;
    let status = if chosen.ours { StatusCode::OK } else { StatusCode::CONFLICT };
    let (value, value_base64) = octets::both(&chosen.value);
    let revision = Count(chosen.at.get());
    let (by, ours) = (chosen.by, Some(chosen.ours));
    let row = RegisterRow { register, value, value_base64, revision, by, ours };
    Ok(Answer::json_with(status, &row))
}

pub(crate) async fn get(ask: Ask) -> Result<Answer, Fault> {
    match ask.client.register(ask.text("name")?).get().await? {
        Some(view) => Ok(Answer::json(&RegisterRow::new(&view))),
        None => Err(Fault::absent("nothing was chosen in it")),
    }
}

pub(crate) async fn list(ask: Ask) -> Result<Answer, Fault> {
    let prefix = ask.query.text("prefix").unwrap_or_default();
    let after = ask.query.text("after").map(Name::new);
    let (views, more) = ask.client.registers(prefix, after, ask.limit()).await?;
    let next = views.last().map(|view| view.name.to_string()).filter(|_| more);
    let registers = views.iter().map(RegisterRow::new).collect();
    Ok(Answer::json(&RegisterRows { registers, next }))
}
