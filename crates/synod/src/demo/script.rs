//! When who is killed.

use std::time::Duration;

use crate::{
    cli,
    exit::{Code, Failure},
};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Leader,
    Owner,
    Shard,
    Follower,
}

impl Victim {
    /// As the report and the script spell it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Victim::Leader => "leader",
            Victim::Owner => "owner",
            Victim::Shard => "shard",
            Victim::Follower => "follower",
        }
    }

    fn parse(word: &str) -> Option<Victim> {
        [Victim::Leader, Victim::Owner, Victim::Shard, Victim::Follower]
            .into_iter()
            .find(|victim| victim.word() == word)
    }
}

/// One murder to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Since the moves began.
    pub(crate) at: Duration,
    pub(crate) victim: Victim,
}

/// The usual kills, spread over the run; a lone node has no follower to kill.
pub(crate) fn usual(span: Duration, nodes: u16) -> Vec<Planned> {
    let at = |part: f64, victim| Planned { at: span.mul_f64(part), victim };
    let mut kills =
        vec![at(0.12, Victim::Leader), at(0.36, Victim::Owner), at(0.62, Victim::Shard)];
    if nodes > 1 {
        kills.push(at(0.80, Victim::Follower));
    }
    kills
}

/// Reads a script for a cluster of `nodes`: one kill a line, `3s leader`; `#` begins a comment.
pub(crate) fn parse(text: &str, nodes: u16) -> Result<Vec<Planned>, Failure> {
    let mut kills = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |why: &str| {
            let what = format!("line {} of the script: {why}", number + 1);
            Failure::new(Code::Usage, "SYN-DEMO-001", what)
                .hint("a line is a moment and a victim: `3s leader`, `7s owner`")
        };
        let (at, victim) = line.split_once(char::is_whitespace).ok_or_else(|| wrong(line))?;
        let at = cli::span(at).map_err(|why| wrong(&why))?;
        let victim = victim.trim();
        let victim = Victim::parse(victim)
            .ok_or_else(|| wrong(&format!("{victim:?} is none of leader owner shard follower")))?;
        if victim == Victim::Follower && nodes == 1 {
            return Err(wrong("a lone node has no follower"));
        }
        kills.push(Planned { at, victim });
    }
    kills.sort_by_key(|kill| kill.at);
    Ok(kills)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_moments_and_victims_in_any_order() {
        let kills = parse("# warm up first\n 5s owner\n3s leader # early\n\n", 3).unwrap();
        let at = |s, victim| Planned { at: Duration::from_secs(s), victim };
        assert_eq!(kills, [at(3, Victim::Leader), at(5, Victim::Owner)]);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number() {
        let error = parse("3s leader\n5s king", 3).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("king"), "{error}");
        assert!(parse("soon leader", 3).is_err());
        assert!(parse("3s", 3).is_err());
        assert!(parse("3s follower", 3).is_ok());
        assert!(parse("3s follower", 1).is_err());
    }

    #[test]
    fn the_usual_kills_name_all_four_victims_within_the_run() {
        let span = Duration::from_secs(20);
        let kills = usual(span, 3);
        assert!(kills.iter().all(|kill| kill.at < span));
        for victim in [Victim::Leader, Victim::Owner, Victim::Shard, Victim::Follower] {
            assert!(kills.iter().any(|kill| kill.victim == victim), "{victim:?}");
        }
    }
}
