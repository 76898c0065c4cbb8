use super::flags::Flags;

/// Runs one seed again and tells its story.
pub(crate) fn replay(words: &[&str]) -> Result<bool, String> {
    let rest = Flags::new(words).rest()?;
    let [seed] = rest[..] else { return Err("which seed?".to_owned()) };
    let seed = seed.parse().map_err(|_| format!("{seed}: seeds are numbers"))?;
    let replay = synod_sim::replay(seed);
    match &replay.failure {
        Some(failure) => println!("{failure}"),
        None => println!("{}", replay.story.join("\n")),
    }
    println!("{} events, digest {:016x}", replay.events, replay.digest);
    Ok(replay.failure.is_none())
}
