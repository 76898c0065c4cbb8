//! `synod shard`: a participant of atomic commit, until it is told to stop.

use super::{
    ask,
    start::{self, Started},
};
use crate::{
    cli::{Common, ShardArgs},
    exit::Failure,
    shard::{self, ShardError},
};

/// Runs the verb.
pub(crate) fn run(common: &Common, args: &ShardArgs) -> Result<(), Failure> {
    let path = ask::config_path(common, "which cluster? -c FILE names its configuration")?;
    let config =
        shard::Config::load(path, &args.name, &args.data, args.listen, args.in_doubt_grace)
            .map_err(failure)?;
    let runtime = ask::runtime()?;
    start::outlive_long_files(&runtime);
    let ended = runtime.block_on(shard::run(
        config,
        |address, http_address| {
            let (name, door_address) = (&args.name, None);
            Started { name, address, http_address, door_address }.tell(common.output);
        },
        start::stopped(args.until_stdin_closes),
    ));
    runtime.shutdown_background();
    ended.map_err(failure)
}

fn failure(error: ShardError) -> Failure {
    match error {
        ShardError::Cluster(error) => ask::failure(error),
        other => Failure::new(other.code(), "SYN-SHARD-001", other),
    }
}
