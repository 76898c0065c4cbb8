use std::io::{IsTerminal, Write};

use synod_sim::{Progress, Run};

use super::flags::Flags;

/// Runs seeds side by side.
pub(crate) fn run(words: &[&str]) -> Result<bool, String> {
    let mut flags = Flags::new(words);
    let mut run = Run::default().bounded(flags.value("--seeds")?, flags.value("--minutes")?);
    run.first = flags.value("--seed")?.unwrap_or(run.first);
    run.threads = flags.value("--threads")?.unwrap_or(run.threads);
    run.store = flags.value("--store")?;
    run.go_on = flags.has("--go-on");
    run.shrink = flags.has("--shrink");
    let digests = flags.has("--digests");
    let rare = flags.has("--rare");
    let all_rare = flags.has("--require-all-rare");
    flags.rest()?;
    let progress = Progress::new(&run, std::io::stderr().is_terminal());
    let summary = synod_sim::run(&run, |so_far| {
        // Nobody reads what a closed standard error would have said.
        let _ = std::io::stderr().write_all(progress.after(so_far).as_bytes());
        if digests {
            println!("{}", so_far.last_digest(&run));
        }
    });
    let _ = std::io::stderr().write_all(progress.end().as_bytes());
    for failure in &summary.failures {
        println!("{failure}");
    }
    for line in summary.rare_states().iter().filter(|_| rare) {
        println!("{line}");
    }
    let unseen = summary.sights.unseen();
    for sight in unseen.iter().filter(|_| all_rare) {
        println!("never seen: {}", sight.name());
    }
    println!("{summary}");
    Ok(summary.failures.is_empty() && (unseen.is_empty() || !all_rare))
}
