use std::{fmt, str::FromStr};

use bytes::Bytes;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A key is set.
    Put,
    /// A key is read, linearizably.
    Get,
    /// A free lock is taken, on a lease that is there.
    Lock,
    /// It is let go of.
    Unlock,
    /// An entry is appended to a journal.
    Append,
    /// A key is set at each participant, all or none.
    Commit,
    /// As many keys are set in the log itself, all or none.
    Multi,
}

impl Op {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Op::Put => "put",
            Op::Get => "get",
            Op::Lock => "lock",
            Op::Unlock => "unlock",
            Op::Append => "append",
            Op::Commit => "commit",
            Op::Multi => "multi",
        }
    }
}

/// Which requests, and how often each beside the others: `put=1,get=9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix(Vec<(Op, u32)>);

impl Mix {
    /// Nothing but this.
    pub fn only(op: Op) -> Mix {
        Mix(vec![(op, 1)])
    }

    /// A request by chance.
    pub(crate) fn draw(&self, rng: &mut fastrand::Rng) -> Op {
        let all = self.0.iter().map(|(_, weight)| weight).sum();
        let mut at = rng.u32(0..all);
        for (op, weight) in &self.0 {
            match at.checked_sub(*weight) {
                None => return *op,
                Some(left) => at = left,
            }
        }
        unreachable!("what was drawn is below the sum of the weights")
    }

    /// Whether it asks for nothing else.
    pub(crate) fn is_only(&self, op: Op) -> bool {
        self.0.iter().all(|(asked, _)| *asked == op)
    }

    /// Whether it asks for this.
    pub(crate) fn has(&self, op: Op) -> bool {
        self.0.iter().any(|(asked, _)| *asked == op)
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Mix, String> {
        let mut mix = Vec::new();
        for part in text.split(',') {
            let (word, weight) = part.split_once('=').unwrap_or((part, "1"));
            let op = match word.trim() {
                "put" => Op::Put,
                "get" => Op::Get,
                other => return Err(format!("{other:?} is no request: put and get are")),
            };
            let weight: u32 = weight
                .trim()
                .parse()
                .ok()
                .filter(|weight| *weight <= 1_000)
                .ok_or_else(|| format!("{part:?}: a weight is a whole number up to 1000"))?;
            if mix.iter().any(|(asked, _)| *asked == op) {
                return Err(format!("{word} stands twice in {text:?}"));
            }
            mix.push((op, weight));
        }
        mix.retain(|(_, weight)| *weight > 0);
        if mix.is_empty() { Err(format!("{text:?} asks for nothing")) } else { Ok(Mix(mix)) }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|(op, weight)| format!("{}={weight}", op.word()));
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

/// What every client asks, again and again.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which requests.
    pub mix: Mix,
    /// Different keys.
    pub keys: u64,
    /// What is written.
    pub value: Bytes,
    /// Whom transactions span.
    pub participants: Vec<String>,
    /// How many keys of the log are set at once, by a load that spans no participants.
    pub at_once: u16,
    /// Each client's transactions are at one of the participants, its own, and not at all of them.
    pub one_of_them: bool,
}

impl Work {
    /// Requests of `mix` to one of `keys` keys each time, with values of so many bytes.
    pub fn of(mix: Mix, keys: u64, value_bytes: usize) -> Work {
        let value = Bytes::from(vec![b'v'; value_bytes]);
        Work { mix, keys, value, participants: Vec::new(), at_once: 1, one_of_them: false }
    }

    /// Whom the transactions of the client of this number span.
    pub(crate) fn participants_of(&self, number: usize) -> &[String] {
        match number.checked_rem(self.participants.len()) {
            Some(own) if self.one_of_them => &self.participants[own..=own],
            Some(_) | None => &self.participants,
        }
    }

    /// A key by chance: all of one length, as names are.
    pub(crate) fn key(&self, rng: &mut fastrand::Rng) -> String {
        key(rng.u64(0..self.keys.max(1)))
    }
}

/// The key of this number.
pub(crate) fn key(number: u64) -> String {
    format!("bench/{number:08}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_read_and_written() {
        let mix: Mix = "put=1, get=9".parse().unwrap();
        assert_eq!(mix.to_string(), "put=1,get=9");
        assert_eq!("get".parse(), Ok(Mix::only(Op::Get)));
        assert_eq!("put=0,get=2".parse::<Mix>().unwrap().to_string(), "get=2");
        for wrong in ["", "take=1", "put=x", "put=1,put=2", "put=0", "put=1001"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn transactions_span_all_participants_or_one_of_them() {
        let mut work = Work::of(Mix::only(Op::Commit), 1, 1);
        assert!(work.participants_of(3).is_empty());
        work.participants = ["p1", "p2"].map(str::to_owned).to_vec();
        assert_eq!(work.participants_of(3), ["p1", "p2"]);
        work.one_of_them = true;
        assert_eq!([0, 1, 2].map(|number| work.participants_of(number)), [["p1"], ["p2"], ["p1"]]);
    }

    /// Requests come as often as their weights say.
    #[test]
    fn a_mix_is_drawn_by_its_weights() {
        let (mix, mut rng) = ("put=1,get=3".parse::<Mix>().unwrap(), fastrand::Rng::with_seed(1));
        let puts = (0..4_000).filter(|_| mix.draw(&mut rng) == Op::Put).count();
        assert!((900..1_100).contains(&puts), "{puts}");
    }
}
