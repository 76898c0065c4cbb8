//! A row of the tables: a line of the product, and what stands there without it.

use std::ops::Range;

/// One bug: in these places of these files, `without` stands for `line`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bug {
    pub(super) name: &'static str,
    /// What the product does with it.
    pub(super) does: &'static str,
    /// Whom it happened to, or who warns of it.
    pub(super) source: &'static str,
    pub(super) edits: &'static [Edit],
}

/// One place, which stands exactly once in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    /// Below `crates`.
    pub(super) file: &'static str,
    /// Whole statements or one expression; where that stands more than once, between guillemets,
    /// with enough around it to find it.
    pub(super) line: &'static str,
    /// The same without what makes it right.
    pub(super) without: &'static str,
}

/// An edit, on fewer lines.
pub(super) const fn edit(file: &'static str, line: &'static str, without: &'static str) -> Edit {
    Edit { file, line, without }
}

impl Edit {
    /// Where it stands in the text of its file; the error says why it cannot be planted.
    pub(super) fn place(&self, text: &str) -> Result<Range<usize>, String> {
        let context = self.line.replace(['«', '»'], "");
        let mut found = text.match_indices(&context);
        let start = match (found.next(), found.next()) {
            (Some((start, _)), None) => start,
            (None, _) => return Err(format!("{}: nowhere stands\n{context}", self.file)),
            (Some(_), Some(_)) => {
                return Err(format!("{}: more than once stands\n{context}", self.file));
            }
        };
        Ok(
            match self
                .line
                .split_once('«')
                .and_then(|(before, rest)| Some((before, rest.split_once('»')?.0)))
            {
                Some((before, line)) => start + before.len()..start + before.len() + line.len(),
                None => start..start + context.len(),
            },
        )
    }
}

impl Edit {
    /// What is taken away, without what is there to find it by.
    pub(super) fn taken(&self) -> &'static str {
        let inner = self.line.split_once('«').and_then(|(_, rest)| rest.split_once('»'));
        inner.map_or(self.line, |(inner, _)| inner)
    }
}

impl Bug {
    /// Whether it stands in the table of lines reviewed.
    pub(super) fn is_reviewed(&self) -> bool {
        self.does.is_empty()
    }

    /// Whether a word on the command line means it.
    pub(super) fn is_about(&self, word: &str) -> bool {
        self.name.contains(word) || self.edits.iter().any(|edit| edit.file.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that is not there, or twice, cannot be planted; guillemets tell one of two.
    #[test]
    fn a_place_must_be_one_place() {
        assert!(edit("", "b", "").place("a").is_err());
        assert!(edit("", "b", "").place("b b").is_err());
        assert_eq!(edit("", "a «b»", "").place("b a b"), Ok(4..5));
    }
}
