use std::str::FromStr;

/// The words after a verb: `--name value`, `--name`, and the rest.
#[derive(Debug)]
pub(crate) struct Flags<'w> {
    words: Vec<&'w str>,
}

impl<'w> Flags<'w> {
    pub(crate) fn new(words: &[&'w str]) -> Flags<'w> {
        Flags { words: words.to_vec() }
    }

    /// Takes `--name` out; true if it was there.
    pub(crate) fn has(&mut self, name: &str) -> bool {
        let place = self.words.iter().position(|word| *word == name);
        place.map(|place| self.words.remove(place)).is_some()
    }

    /// Takes `--name value` out.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(place) = self.words.iter().position(|word| *word == name) else {
            return Ok(None);
        };
        let mut named = self.words.drain(place..(place + 2).min(self.words.len())).skip(1);
        let word = named.next().ok_or_else(|| format!("{name} wants a value"))?;
        word.parse().map(Some).map_err(|_| format!("{name} {word}: no such value"))
    }

    /// What is left; nothing that looks like a flag may be.
    pub(crate) fn rest(self) -> Result<Vec<&'w str>, String> {
        match self.words.iter().find(|word| word.starts_with("--")) {
            Some(unknown) => Err(format!("{unknown}: no such flag")),
            None => Ok(self.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags come in any order and are taken once; what nobody knows is refused.
    #[test]
    fn flags_are_taken_out_and_the_rest_is_left() {
        let mut flags = Flags::new(&["7", "--seeds", "20", "--go-on"]);
        assert_eq!(flags.value::<u64>("--seeds"), Ok(Some(20)));
        assert_eq!(flags.value::<u64>("--seed"), Ok(None));
        assert!(flags.has("--go-on"));
        assert_eq!(flags.rest(), Ok(vec!["7"]));
        assert!(Flags::new(&["--seeds"]).value::<u64>("--seeds").is_err());
        assert!(Flags::new(&["--seeds", "x"]).value::<u64>("--seeds").is_err());
        assert!(Flags::new(&["--sedes"]).rest().is_err());
    }
}
