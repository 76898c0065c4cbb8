//! From the text of a file and the bugs in it to a text that holds all of them, each behind its
//! number.

use std::ops::Range;

/// What asks, in a copy and nowhere else, which bug is planted.
pub(super) const SWITCH: &str = "synod_planted::is";

/// What stands in one place of a text when the bug of this number is planted.
#[derive(Clone, Debug)]
pub(super) struct Change<'e> {
    /// Whole statements or one expression.
    pub(super) at: Range<usize>,
    pub(super) number: usize,
    pub(super) without: &'e str,
}

/// The text with every change in it. One place may be the place of several bugs, and lie within the
/// place of another; two that overlap otherwise are refused.
pub(super) fn splice(text: &str, mut changes: Vec<Change<'_>>) -> Result<String, String> {
    // Whatever encloses others comes before them.
    changes.sort_by_key(|change| (change.at.start, usize::MAX - change.at.end, change.number));
    within(text, 0..text.len(), &changes)
}

/// The part `span` of the text, with the changes that lie in it.
fn within(text: &str, span: Range<usize>, changes: &[Change<'_>]) -> Result<String, String> {
    let mut spliced = String::new();
    let (mut next, mut rest) = (span.start, changes);
    while let Some(first) = rest.first() {
        let at = first.at.clone();
        if at.end > span.end {
            return Err(format!("overlaps another place: {}", &text[at]));
        }
        let same = rest.iter().take_while(|other| other.at == at).count();
        let inside = rest[same..].iter().take_while(|other| other.at.start < at.end).count();
        let (here, after) = rest.split_at(same);
        let (inner, after) = after.split_at(inside);
        spliced.push_str(&text[next..at.start]);
        spliced.push_str(&switched(here, &within(text, at.clone(), inner)?));
        (next, rest) = (at.end, after);
    }
    spliced.push_str(&text[next..span.end]);
    Ok(spliced)
}

/// The alternatives of one place. Statements stay statements; an expression is put in parentheses,
/// since it may be the first word of a statement or an operand.
fn switched(here: &[Change<'_>], line: &str) -> String {
    let mut text = String::new();
    for Change { number, without, .. } in here {
        text.push_str(&format!("if {SWITCH}({number}) {{ {without} }} else "));
    }
    text.push_str(&format!("{{ {line} }}"));
    let is_statement = line.trim_end().ends_with([';', '}']);
    if is_statement { text } else { format!("({text})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With changes of these parts of it, each of which stands there once.
    fn spliced(text: &str, changes: &[(&str, &str)]) -> Result<String, String> {
        let placed = changes.iter().enumerate().map(|(number, (line, without))| {
            let start = text.find(line).unwrap();
            Change { at: start..start + line.len(), number, without }
        });
        splice(text, placed.collect())
    }

    /// Two bugs at one place are alternatives of it, and one within the place of another is planted
    /// where that other is not.
    #[test]
    fn one_place_may_hold_several_bugs() {
        let changes = [("b", "x"), ("b", "y"), ("a + b;", "")];
        let expected = "if synod_planted::is(2) {  } else { a + (if synod_planted::is(0) { x } \
                        else if synod_planted::is(1) { y } else { b }); } c";
        assert_eq!(spliced("a + b; c", &changes), Ok(expected.to_owned()));
    }

    /// A place that is half in another cannot be planted.
    #[test]
    fn places_do_not_overlap() {
        assert!(spliced("a b c", &[("a b", ""), ("b c", "")]).is_err());
    }
}
