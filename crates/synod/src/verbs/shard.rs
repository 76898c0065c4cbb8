//! `synod shard`: a participant of atomic commit, until it is told to stop.

use super::{ask, start};
use crate::{
    cli::{Common, ShardArgs},
    exit::{Code, Failure},
    print, shard,
};

/// Runs the verb.
pub(crate) fn run(common: &Common, args: &ShardArgs) -> Result<(), Failure> {
    let path = common.config.as_deref().ok_or_else(|| {
        Failure::new(
            Code::Usage,
            "SYN-CONFIG-003",
            "which cluster? -c FILE names its configuration",
        )
    })?;
    let config =
        shard::Config::load(path, &args.name, &args.data, args.listen, args.in_doubt_grace)
            .map_err(|error| Failure::new(Code::Usage, "SYN-SHARD-001", error))?;
    let runtime = ask::runtime()?;
    let ended = runtime.block_on(shard::run(
        config,
        |address| {
            // The one line of data: where it listens. A parent waits for it.
            let _ = print::lines(&format!("{} listens on {address}", args.name));
        },
        start::stopped(args.until_stdin_closes),
    ));
    runtime.shutdown_background();
    ended.map_err(|error| Failure::new(Code::Usage, "SYN-SHARD-002", error))
}
