//! `synod check-config`: parse nodes' configuration, hold several against each other, touch
//! nothing.

use crate::{
    cli::{CheckConfigArgs, Common},
    exit::{Code, Failure},
    print,
};

/// Runs the verb. Exit 2 when a file is wrong, 1 when files contradict each other.
pub(crate) fn run(_common: &Common, args: &CheckConfigArgs) -> Result<(), Failure> {
    let configs = args
        .files
        .iter()
        .map(|path| {
            synod_node::Config::load(path)
                .map_err(|error| Failure::new(Code::Usage, "SYN-CONFIG-002", error))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if args.print {
        for config in &configs {
            let rows = config.describe();
            let lines: Vec<_> = rows
                .iter()
                .map(|row| format!("{} = {}  ({})", row.key, row.value, row.origin))
                .collect();
            print::lines(&lines.join("\n"))?;
        }
    }
    synod_node::check_many(&configs).map_err(|error| {
        Failure::new(Code::No, "SYN-CONFIG-005", error)
            .hint("every node of a cluster must be told the same cluster and the same members")
    })?;
    let names: Vec<_> = configs.iter().map(|config| config.name().to_owned()).collect();
    print::lines(&format!("ok   {}", names.join(" ")))
}
