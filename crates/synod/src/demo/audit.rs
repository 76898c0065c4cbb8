//! The end of the demo: both catalogs, record by record.

use std::collections::BTreeMap;

use super::catalog;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Satellites found exactly once, with the very element set they began with.
    pub(crate) accounted: usize,
    /// Everything else, for people to read.
    pub(crate) complaints: Vec<String>,
}

/// Keys and records of one catalog.
pub(crate) type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// Holds what the catalogs hold, by name, against what there is.
pub(crate) fn audit(catalogs: &[(String, Records)]) -> Audit {
    let truth = catalog::satellites();
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut audit = Audit::default();
    for (place, records) in catalogs {
        for (key, value) in records {
            let key = String::from_utf8_lossy(key).into_owned();
            let set = String::from_utf8_lossy(value);
            match truth.get(&key) {
                None => {
                    audit.complaints.push(format!("{place} holds {key}, which is none of ours"))
                }
                Some(_) if catalog::key(&set).as_ref() != Some(&key) => {
                    audit.complaints.push(format!("{place} holds {key} with a damaged record"));
                }
                Some(ours) if *ours != set => {
                    audit.complaints.push(format!("{place} holds {key} with another's record"));
                }
                Some(_) => found.entry(key).or_default().push(place),
            }
        }
    }
    for key in truth.keys() {
        match found.get(key).map(Vec::as_slice) {
            Some([_]) => audit.accounted += 1,
            Some(places) => audit.complaints.push(format!("{key} is in {}", places.join(" and "))),
            None => audit.complaints.push(format!("{key} is nowhere")),
        }
    }
    audit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves() -> (Records, Records) {
        let all = catalog::satellites().into_iter();
        let mut all: Records = all.map(|(key, set)| (key.into_bytes(), set.into_bytes())).collect();
        let west = all.split_off(all.len() / 2);
        (all, west)
    }

    fn run(east: Records, west: Records) -> Audit {
        audit(&[("east".to_owned(), east), ("west".to_owned(), west)])
    }

    #[test]
    fn each_satellite_once_is_979_of_979() {
        let (east, west) = halves();
        assert_eq!(run(east, west), Audit { accounted: 979, complaints: Vec::new() });
    }

    #[test]
    fn a_satellite_in_both_catalogs_is_a_complaint() {
        let (east, mut west) = halves();
        west.push(east[0].clone());
        let audit = run(east, west);
        assert_eq!(audit.accounted, 978);
        assert!(audit.complaints[0].contains("east and west"), "{audit:?}");
    }

    #[test]
    fn a_lost_a_damaged_and_a_swapped_record_are_complaints() {
        let (mut east, mut west) = halves();
        east.pop();
        *west[0].1.last_mut().unwrap() ^= 1;
        let stolen = west[2].1.clone();
        west[1].1 = stolen;
        let audit = run(east, west);
        assert_eq!(audit.accounted, 976);
        assert_eq!(audit.complaints.iter().filter(|c| c.contains("nowhere")).count(), 3);
    }
}
