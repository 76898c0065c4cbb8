//! What stands behind the question mark: only what the route knows, each once.

use bytes::Bytes;

use crate::{
    fault::Fault,
    numbers, octets,
    route::{Kind, Param},
};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query(Vec<(&'static str, Bytes)>);

impl Query {
    /// Reads what was sent in the way of HTML forms (a plus is a space).
    pub(crate) fn parse(raw: Option<&str>, known: &'static [Param]) -> Result<Query, Fault> {
        let mut found: Vec<(&'static str, Bytes)> = Vec::new();
        for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(param) = known.iter().find(|param| param.name == name) else {
                let names: Vec<&str> = known.iter().map(|param| param.name).collect();
                return Err(Fault::bad(match names.is_empty() {
                    true => format!("unknown parameter {name:?}; there is none here"),
                    false => {
                        format!("unknown parameter {name:?}; known are {}", names.join(", "))
                    }
                }));
            };
            if found.iter().any(|(name, _)| *name == param.name) {
                return Err(Fault::bad(format!("parameter {name:?} is given twice")));
            }
            let value = octets::decoded(value, true)?;
            param.check(&value)?;
            found.push((param.name, value));
        }
        match known.iter().find(|p| p.required && !found.iter().any(|(name, _)| *name == p.name)) {
            Some(param) => Err(Fault::bad(format!("parameter {:?} is missing", param.name))),
            None => Ok(Query(found)),
        }
    }

    pub(crate) fn octets(&self, name: &str) -> Option<Bytes> {
        self.0.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
    }

    /// A text; checked when it was parsed.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.octets(name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// A number; checked when it was parsed.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|value| numbers::read(&value))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value != "false")
    }
}

impl Param {
    fn check(&self, value: &Bytes) -> Result<(), Fault> {
        let name = self.name;
        let text = || octets::text(value, &format!("parameter {name:?}"));
        let fits = match self.kind {
            Kind::Octets => true,
            Kind::Text => text().map(|_text| true)?,
            Kind::Number => numbers::read::<u64>(&text()?).is_some(),
            Kind::Flag => matches!(text()?.as_str(), "" | "true" | "false"),
            Kind::Word(words) => words.contains(&text()?.as_str()),
        };
        if fits {
            return Ok(());
        }
        Err(Fault::bad(format!("parameter {name:?}: {} is expected", self.kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Param] = &[
        Param { name: "prefix", kind: Kind::Octets, required: false, what: "" },
        Param { name: "from", kind: Kind::Number, required: true, what: "" },
        Param { name: "stale", kind: Kind::Flag, required: false, what: "" },
    ];

    #[test]
    fn what_is_known_is_read() {
        let query = Query::parse(Some("prefix=a%2Fb%ff&from=7&stale"), KNOWN).unwrap();
        assert_eq!(query.octets("prefix").unwrap(), &b"a/b\xff"[..]);
        assert_eq!((query.number("from"), query.flag("stale")), (Some(7), true));
        let query = Query::parse(Some("from=0&stale=false&"), KNOWN).unwrap();
        assert_eq!((query.octets("prefix"), query.flag("stale")), (None, false));
    }

    /// A parameter that is ignored is a wish that is not told that it was not heard.
    #[test]
    fn anything_else_is_refused_by_name() {
        for (raw, word) in [
            ("from=1&form=2", "\"form\"; known are prefix, from, stale"),
            ("from=1&from=2", "\"from\" is given twice"),
            ("from=-1", "a whole number"),
            ("from=99999999999999999999", "a whole number"),
            ("prefix=a", "\"from\" is missing"),
            ("from=1&stale=yes", "true or false"),
            ("from=1&prefix=%x", "hexadecimal"),
        ] {
            let fault = format!("{:?}", Query::parse(Some(raw), KNOWN).unwrap_err());
            assert!(fault.contains(&word.replace('"', "\\\"")), "{raw}: {fault}");
        }
    }
}
