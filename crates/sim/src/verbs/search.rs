use synod_sim::{PLACES, Place};

use super::flags::Flags;

/// How many worlds are looked at, at most; each takes about sixty bytes.
const WORLDS_MAX: usize = 50_000_000;

/// Searches through every world of the named places.
pub(crate) fn search(words: &[&str]) -> Result<bool, String> {
    let mut flags = Flags::new(words);
    let worlds_max = flags.value("--worlds")?.unwrap_or(WORLDS_MAX);
    let names = flags.rest()?;
    let mut clean = true;
    // A panic in a world is told with the way to it.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    for name in names {
        let place = Place::named(name).ok_or_else(|| {
            let all: Vec<&str> = PLACES.iter().map(|place| place.name).collect();
            format!("{name}: no such place; there are {}", all.join(", "))
        })?;
        let searched = place.search(worlds_max, |so_far| eprintln!("{name}: {so_far}"));
        println!("{name}: {searched}");
        if let Some((violation, story)) = &searched.found {
            println!("{violation}");
            story.iter().for_each(|line| println!("{line}"));
            clean = false;
        }
    }
    Ok(clean)
}
