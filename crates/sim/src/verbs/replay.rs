use synod_sim::{Script, Told};

use super::flags::Flags;

/// Runs one universe again and tells its story; or the smallest one that fails like it.
pub(crate) fn replay(words: &[&str]) -> Result<bool, String> {
    let mut flags = Flags::new(words);
    let told = if flags.has("--verbose") { Told::Everything } else { Told::End };
    let shrinks = flags.has("--shrink");
    let rest = flags.rest()?;
    let [script] = rest[..] else { return Err("which seed?".to_owned()) };
    let mut script: Script = script.parse().map_err(|error| format!("{error}"))?;
    if let Some(smallest) = shrinks.then(|| synod_sim::shrink(&script, None)).flatten() {
        println!("smallest script found: {smallest}");
        script = smallest;
    }
    let replay = synod_sim::replay(&script, None, told);
    match &replay.failure {
        Some(failure) => println!("{failure}"),
        None => println!("{}", replay.story.join("\n")),
    }
    println!("{} events, digest {:016x}", replay.events, replay.digest);
    Ok(replay.failure.is_none())
}
