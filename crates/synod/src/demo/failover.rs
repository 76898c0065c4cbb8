//! `synod demo --failover`: a primary is lost and another is promoted, without anybody's help; then
//! the office goes back in good order. The exit code is 0 only when no row that was acknowledged is
//! lost, and none was taken under a token after one under a later.

mod book;
mod pair;
mod play;
mod postgres;
mod report;
mod rows;
mod seat;
mod session;

use std::path::Path;

pub(crate) use self::book::{WRITER, write as write_rows};
use self::{
    pair::{NAMES, Pair},
    play::{PATIENCE, Play},
};
use super::{interrupted, scene::Scene, signals::Signals, teller::Teller};
use crate::{
    cli::{Common, DemoArgs},
    exit::Failure,
};

/// Plays it in `dir`.
pub(super) async fn run(
    common: &Common,
    args: &DemoArgs,
    dir: &Path,
    mut signals: Signals,
) -> Result<(), Failure> {
    let teller = Teller::new(common.output);
    let (pair, because) = Pair::choose(args.child, dir)?;
    let seed = fastrand::u64(1..);
    let (mut scene, _) = Scene::of_nodes(dir, args.nodes, &[], None, seed).await?;
    let ended = {
        let play = Play::new(args, &pair, because, &teller);
        tokio::select! {
            ended = play.perform(&mut scene) => ended,
            () = signals.heard() => Err(interrupted()),
        }
    };
    // While there is a cluster to resign at.
    scene.dismiss(&NAMES, PATIENCE).await;
    scene.close().await;
    ended
}
