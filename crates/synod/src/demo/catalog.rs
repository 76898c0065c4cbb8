//! The real catalog: 979 satellites as three-line element sets, carried in the binary.

use std::collections::BTreeMap;

/// Name, line 1, line 2; see `data/README.md`.
const CATALOG: &str = include_str!("../../data/catalog.tle");

/// Characters of an element set's line (*CelesTrak, Two-Line Element Set Format*).
const LINE_CHARS: usize = 69;

/// Every satellite by its key, `sat/NUMBER`, with its element set as the value.
pub(crate) fn satellites() -> BTreeMap<String, String> {
    let lines: Vec<&str> = CATALOG.lines().collect();
    let sets = lines.chunks_exact(3).map(|set| set.join("\n"));
    sets.filter_map(|set| Some((key(&set)?, set))).collect()
}

/// The key of an element set, when it is one: three lines, both numbered lines whole with right
/// checksums, and of the same satellite.
pub(crate) fn key(set: &str) -> Option<String> {
    let [name, first, second] = set.lines().collect::<Vec<_>>()[..] else { return None };
    let whole = !name.is_empty()
        && first.starts_with("1 ")
        && second.starts_with("2 ")
        && checksum_holds(first)
        && checksum_holds(second);
    let (number, again) = (first.get(2..7)?, second.get(2..7)?);
    (whole && number == again).then(|| format!("sat/{number}"))
}

/// Column 69 is the sum of all digits, a minus counting one, modulo ten.
fn checksum_holds(line: &str) -> bool {
    if line.len() != LINE_CHARS || !line.is_ascii() {
        return false;
    }
    let (body, check) = line.split_at(LINE_CHARS - 1);
    let sum: u32 = body.chars().map(|c| c.to_digit(10).unwrap_or(u32::from(c == '-'))).sum();
    check.parse() == Ok(sum % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_holds_979_whole_element_sets_of_979_satellites() {
        assert_eq!(CATALOG.lines().count(), 3 * 979);
        assert_eq!(satellites().len(), 979);
    }

    /// Every single-digit error changes the sum.
    #[test]
    fn a_flipped_digit_is_noticed() {
        let (_, set) = satellites().into_iter().next().unwrap();
        assert!(key(&set).is_some());
        for (place, c) in set.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
            if place < set.find('\n').unwrap() {
                continue; // The name carries no checksum.
            }
            let other = char::from_digit((c.to_digit(10).unwrap() + 1) % 10, 10).unwrap();
            let mut damaged = set.clone();
            damaged.replace_range(place..=place, &other.to_string());
            assert_eq!(key(&damaged), None, "place {place}");
        }
    }
}
