//! `synod register`: registers that are written once.

use serde::Serialize;
use synod_client::machine::RegisterView;

use super::{
    ask::{ask, failure, pages},
    kv::value_or_input,
};
use crate::{
    cli::{Common, NamesArgs, Output, RegisterVerb},
    exit::{Code, Failure},
    print,
};

/// Runs the verb.
pub(crate) fn run(common: &Common, verb: &RegisterVerb) -> Result<(), Failure> {
    match verb {
        RegisterVerb::Propose { name, value } => propose(common, name, value_or_input(value)?),
        RegisterVerb::Get { name, base64 } => get(common, name, *base64),
        RegisterVerb::Ls(args) => list(common, args),
    }
}

/// What stands in a register.
#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    chosen: bool,
    /// Of a proposal: whether it was this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<bool>,
    #[serde(flatten)]
    value: Option<print::Value>,
    revision: Option<u64>,
    by: Option<String>,
}

const SCHEMA: &str = "synod.register/1";

fn propose(common: &Common, name: &str, value: Vec<u8>) -> Result<(), Failure> {
    let chosen = ask(common, |client| async move {
        client.register(name).propose(value).await.map_err(failure)
    })?;
    if common.output.is_json() {
        print::json(&Shown {
            schema: SCHEMA,
            chosen: true,
            ours: Some(chosen.ours),
            value: Some(print::Value::new(&chosen.value, false)),
            revision: Some(chosen.at.get()),
            by: Some(chosen.by),
        })?;
    } else {
        print::value(&chosen.value)?;
    }
    // What stands was printed, which is the answer; whose it is says the exit code.
    if chosen.ours { Ok(()) } else { Err(Failure::silent(Code::No)) }
}

fn get(common: &Common, name: &str, base64: bool) -> Result<(), Failure> {
    let found =
        ask(common, |client| async move { client.register(name).get().await.map_err(failure) })?;
    if common.output.is_json() {
        let chosen = found.is_some();
        print::json(&Shown {
            schema: SCHEMA,
            chosen,
            ours: None,
            value: found.as_ref().map(|found| print::Value::new(&found.value, base64)),
            revision: found.as_ref().map(|found| found.at.get()),
            by: found.map(|found| found.by),
        })?;
        return if chosen { Ok(()) } else { Err(Failure::silent(Code::No)) };
    }
    match found {
        Some(found) if base64 => print::lines(&print::base64(&found.value)),
        Some(found) => print::value(&found.value),
        None => Err(Failure::no(format!("nothing was chosen in {name}"))),
    }
}

fn list(common: &Common, args: &NamesArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct One {
        schema: &'static str,
        name: String,
        #[serde(flatten)]
        value: print::Value,
        revision: u64,
        by: String,
    }
    #[derive(Serialize)]
    struct Listed {
        schema: &'static str,
        registers: Vec<One>,
        more: bool,
    }
    let (registers, more) = ask(common, |client| async move {
        let page = async |after, left| client.registers(args.prefix.clone(), after, left).await;
        pages(args.limit, page, |register: &RegisterView| register.name.clone()).await
    })?;
    let mut shown = registers.iter().map(|register| One {
        schema: SCHEMA,
        name: register.name.to_string(),
        value: print::Value::new(&register.value, false),
        revision: register.at.get(),
        by: register.by.clone(),
    });
    match common.output {
        Output::Json => {
            let (schema, registers) = ("synod.register.list/1", shown.collect());
            return print::json(&Listed { schema, registers, more });
        }
        Output::Jsonl => shown.try_for_each(|register| print::json(&register))?,
        Output::Text => {
            let lines = registers.iter();
            let lines = lines.map(|one| format!("{}\t{}", one.name, print::escaped(&one.value)));
            print::lines(&lines.collect::<Vec<_>>().join("\n"))?;
        }
    }
    if more {
        anstream::eprintln!("there are more than {}: --limit shows more of them", args.limit);
    }
    Ok(())
}
