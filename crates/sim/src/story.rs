/// How many of the last lines are told unless somebody wants all of them.
const LINES_MAX: usize = 60;

/// Lines that concern everybody.
const ABOUT_ALL: [&str; 3] = ["links break", "the network", "trouble ends"];

/// How much of a story is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: fast.
    Nothing,
    /// Its end, as far as it concerns those of whom the broken property speaks.
    End,
    /// All of it.
    Everything,
}

/// What happened, as lines, when somebody wants to read them.
#[derive(Debug)]
pub(crate) struct Story {
    told: Told,
    lines: Vec<String>,
}

impl Story {
    /// A story of which so much is to be told.
    pub(crate) fn new(told: Told) -> Story {
        Story { told, lines: Vec::new() }
    }

    /// Tells a line, which is made only if somebody wants to read it.
    pub(crate) fn tell(&mut self, at_us: u64, line: impl FnOnce() -> String) {
        if self.told != Told::Nothing {
            let (ms, us) = (at_us / 1_000, at_us % 1_000);
            self.lines.push(format!("{ms:>6}.{us:03} ms  {}", line()));
        }
    }

    /// The lines, as many as were wanted; `broken` is what was said of the broken property.
    pub(crate) fn lines(&self, broken: Option<&str>) -> Vec<String> {
        if self.told == Told::Everything {
            return self.lines.clone();
        }
        let concerned = broken.map(names).unwrap_or_default();
        let concerns = |line: &&String| {
            let of = names(line);
            concerned.is_empty()
                || of.iter().any(|name| concerned.contains(name))
                || ABOUT_ALL.iter().any(|words| line.contains(words))
        };
        let lines: Vec<&String> = self.lines.iter().filter(concerns).collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].iter().map(|line| (*line).clone()).collect()
    }
}

/// The nodes and participants that a text speaks of first: before it quotes anything.
fn names(text: &str) -> Vec<String> {
    let said = text.split(['{', '[']).next().unwrap_or_default();
    let words: Vec<&str> = said
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let numbered = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut names = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let next = words.get(place + 1).filter(|next| numbered(next));
        match (word.strip_prefix('n'), next) {
            (Some(number), _) if numbered(number) => names.push((*word).to_owned()),
            (_, Some(number)) if ["participant", "owner", "client"].contains(word) => {
                names.push(format!("{word} {number}"));
            }
            (_, _) => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(told: Told) -> Story {
        let mut story = Story::new(told);
        for (at, line) in [
            "n1 hears n2: promise 3.n2",
            "n3 starts its life 2",
            "participant 1 hears owner 0: prepare 5.1",
            "links break: Split",
            "n4 has synced {n1}",
        ]
        .into_iter()
        .enumerate()
        {
            story.tell(at as u64, || line.to_owned());
        }
        story
    }

    /// Of a broken property only those lines are told that concern whom it speaks of.
    #[test]
    fn a_story_is_told_of_those_concerned() {
        let kept = |broken: &str| told(Told::End).lines(Some(broken)).len();
        assert_eq!(kept("n1 promises 2.n1"), 2);
        assert_eq!(kept("participant 1 votes yes"), 2);
        assert_eq!(kept("slot 7: chosen twice"), 5);
        assert_eq!(told(Told::Everything).lines(Some("n1 …")).len(), 5);
        assert_eq!(told(Told::Nothing).lines(None).len(), 0);
    }
}
