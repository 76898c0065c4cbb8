//! From the text of a file and the bugs in it to a text that holds all of them, each behind its
//! number.

use std::ops::Range;

use super::row::Edit;

/// What asks, in a copy and nowhere else, which bug is planted.
pub(super) const SWITCH: &str = "synod_planted::is";

/// An edit in its place, with the number of its bug.
#[derive(Clone, Debug)]
struct Placed<'e> {
    at: Range<usize>,
    number: usize,
    edit: &'e Edit,
}

/// The text with every edit in it. One place may be the place of several bugs, and lie within the
/// place of another; two that overlap otherwise are refused.
pub(super) fn splice(text: &str, edits: &[(usize, &Edit)]) -> Result<String, String> {
    let mut placed = Vec::new();
    for (number, edit) in edits {
        placed.push(Placed { at: edit.place(text)?, number: *number, edit });
    }
    // Whatever encloses others comes before them.
    placed.sort_by_key(|placed| (placed.at.start, usize::MAX - placed.at.end, placed.number));
    within(text, 0..text.len(), &placed)
}

/// The part `span` of the text, with the edits that lie in it.
fn within(text: &str, span: Range<usize>, placed: &[Placed<'_>]) -> Result<String, String> {
    let mut spliced = String::new();
    let (mut next, mut rest) = (span.start, placed);
    while let Some(first) = rest.first() {
        let at = first.at.clone();
        if at.end > span.end {
            return Err(format!(
                "{}: overlaps another place\n{}",
                first.edit.file, first.edit.line
            ));
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
fn switched(here: &[Placed<'_>], line: &str) -> String {
    let mut text = String::new();
    for Placed { number, edit, .. } in here {
        text.push_str(&format!("if {SWITCH}({number}) {{ {} }} else ", edit.without));
    }
    text.push_str(&format!("{{ {line} }}"));
    let is_statement = line.trim_end().ends_with([';', '}']);
    if is_statement { text } else { format!("({text})") }
}

#[cfg(test)]
mod tests {
    use super::super::row::edit;
    use super::*;

    fn spliced(text: &str, edits: &[Edit]) -> Result<String, String> {
        splice(text, &edits.iter().enumerate().collect::<Vec<_>>())
    }

    /// Two bugs at one place are alternatives of it, and one within the place of another is planted
    /// where that other is not.
    #[test]
    fn one_place_may_hold_several_bugs() {
        let edits = [edit("", "b", "x"), edit("", "b", "y"), edit("", "a + b;", "")];
        let expected = "if synod_planted::is(2) {  } else { a + (if synod_planted::is(0) { x } \
                        else if synod_planted::is(1) { y } else { b }); } c";
        assert_eq!(spliced("a + b; c", &edits), Ok(expected.to_owned()));
    }

    /// A place that is not there, or twice, or half in another, cannot be planted.
    #[test]
    fn a_place_must_be_one_place() {
        assert!(spliced("a", &[edit("", "b", "")]).is_err());
        assert!(spliced("b b", &[edit("", "b", "")]).is_err());
        assert!(spliced("a b c", &[edit("", "a b", ""), edit("", "b c", "")]).is_err());
    }
}
