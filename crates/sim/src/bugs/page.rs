//! The pages of the tables. Each table stands between two marks, so that it can be written anew.

use std::fs;

use super::copy;

/// The page of bugs that are planted and of lines that are reviewed, below the top of the
/// workspace.
pub(super) const PLANTED: &str = "docs/planted-bugs.md";

/// The text of a page.
pub(super) fn read(page: &str) -> std::io::Result<String> {
    fs::read_to_string(copy::top().join(page))
}

/// Writes it.
pub(super) fn write(page: &str, text: &str) -> std::io::Result<()> {
    fs::write(copy::top().join(page), text)
}

/// Code on one line, as a cell of a table may hold it.
pub(super) fn code(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    match line.is_empty() {
        true => "nothing".to_owned(),
        false => format!("`{}`", line.join(" ").replace('|', "\\|")),
    }
}

/// What stands between the marks of this name.
pub(super) fn between<'p>(page: &'p str, mark: &str) -> Result<&'p str, String> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let rest = page.split_once(&begin).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| Some(rest.split_once(&end)?.0));
    found.ok_or_else(|| format!("the page has no marks for {mark}"))
}

/// The page with `table` between the marks of this name.
pub(super) fn with(page: &str, mark: &str, table: &str) -> Result<String, String> {
    let stood = between(page, mark)?;
    let at = stood.as_ptr().addr() - page.as_ptr().addr();
    let mut page = page.to_owned();
    page.replace_range(at..at + stood.len(), table);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_that_stood_between_its_marks() {
        let page = "a\n<!-- x -->\nold\n<!-- end of x -->\n<!-- y -->\n<!-- end of y -->\n";
        assert_eq!(between(page, "x"), Ok("old\n"));
        let page = with(page, "y", "new\n").unwrap();
        assert_eq!(between(&page, "x"), Ok("old\n"));
        assert_eq!(between(&page, "y"), Ok("new\n"));
        assert!(with(&page, "z", "").is_err());
    }
}
