//! Every key of a file with its effective value and where it comes from.

use std::fmt;

use serde::Serialize;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It stands in the file.
    File,
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::File => "file",
            Origin::Default => "default",
        })
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, with the tables it is in: `timing.heartbeat_ms`, `peer[0].name`.
    pub key: String,
    /// What holds, as TOML.
    pub value: String,
    /// Where that comes from.
    pub origin: Origin,
}

/// Every key of `effective`, which was read from `written`, in the order of keys.
pub fn describe(effective: &impl Serialize, written: &toml::Table) -> Vec<Row> {
    let effective = toml::Table::try_from(effective)
        .expect("keys are strings, numbers and tables of them, all of which TOML can say");
    let written = flat(written);
    flat(&effective)
        .into_iter()
        .map(|(key, value)| {
            let stands = written.iter().any(|(other, _)| *other == key);
            let origin = if stands { Origin::File } else { Origin::Default };
            Row { key, value, origin }
        })
        .collect()
}

/// A table as a list of (dotted key, value).
pub fn flat(table: &toml::Table) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (key, value) in table {
        descend(key.clone(), value, &mut rows);
    }
    rows
}

fn descend(key: String, value: &toml::Value, rows: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (inner, value) in table {
                descend(format!("{key}.{inner}"), value, rows);
            }
        }
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
            for (place, value) in values.iter().enumerate() {
                descend(format!("{key}[{place}]"), value, rows);
            }
        }
        plain => rows.push((key, plain.to_string())),
    }
}
