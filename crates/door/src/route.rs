use std::{fmt, future::Future, pin::Pin};

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::{
    answer::Answer,
    ask::Ask,
    caller::Needs,
    fault::Fault,
    octets,
    routes::ROUTES,
    shape::{Shaped, Shapes},
};

/// One thing that can be asked for. What it says of itself is what holds: the door finds its way,
/// checks and reads by it, and the OpenAPI file is written from it.
pub(crate) struct Route {
    pub(crate) verb: Verb,
    /// Literal pieces and `{names}`; `{name...}` takes the rest of the path.
    pub(crate) path: &'static str,
    /// Its name among all.
    pub(crate) id: &'static str,
    /// In one line.
    pub(crate) what: &'static str,
    pub(crate) needs: Needs,
    pub(crate) query: &'static [Param],
    /// Headers that it understands besides those that all do.
    pub(crate) headers: &'static [Param],
    pub(crate) takes: Takes,
    pub(crate) says: &'static [Says],
    pub(crate) serve: fn(Ask) -> Serving,
}

impl Route {
    pub(crate) const fn get(
        path: &'static str,
        id: &'static str,
        needs: Needs,
        serve: fn(Ask) -> Serving,
    ) -> Route {
        Route::new(Verb::Get, (path, id), needs, serve)
    }

    pub(crate) const fn put(
        path: &'static str,
        id: &'static str,
        needs: Needs,
        serve: fn(Ask) -> Serving,
    ) -> Route {
        Route::new(Verb::Put, (path, id), needs, serve)
    }

    pub(crate) const fn post(
        path: &'static str,
        id: &'static str,
        needs: Needs,
        serve: fn(Ask) -> Serving,
    ) -> Route {
        Route::new(Verb::Post, (path, id), needs, serve)
    }

    pub(crate) const fn delete(
        path: &'static str,
        id: &'static str,
        needs: Needs,
        serve: fn(Ask) -> Serving,
    ) -> Route {
        Route::new(Verb::Delete, (path, id), needs, serve)
    }

    const fn new(
        verb: Verb,
        (path, id): (&'static str, &'static str),
        needs: Needs,
        serve: fn(Ask) -> Serving,
    ) -> Route {
        let (query, headers, takes): (&[Param], &[Param], _) = (&[], &[], Takes::Nothing);
        Route { verb, path, id, what: "", needs, query, headers, takes, says: &[], serve }
    }

    pub(crate) const fn what(self, what: &'static str) -> Route {
        Route { what, ..self }
    }

    pub(crate) const fn query(self, query: &'static [Param]) -> Route {
        Route { query, ..self }
    }

    pub(crate) const fn headers(self, headers: &'static [Param]) -> Route {
        Route { headers, ..self }
    }

    pub(crate) const fn takes(self, takes: Takes) -> Route {
        Route { takes, ..self }
    }

    pub(crate) const fn says(self, says: &'static [Says]) -> Route {
        Route { says, ..self }
    }
}

/// The methods there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Put,
    Post,
    Delete,
}

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Put => "PUT",
            Verb::Post => "POST",
            Verb::Delete => "DELETE",
        }
    }
}

/// An answer under way.
pub(crate) type Serving = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

/// A parameter, or a header.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) what: &'static str,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Octets,
    Text,
    Number,
    Flag,
    Word(&'static [&'static str]),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Octets | Kind::Text => f.write_str("text"),
            Kind::Number => f.write_str("a whole number from 0"),
            Kind::Flag => f.write_str("true or false"),
            Kind::Word(words) => f.write_str(&words.join(" or ")),
        }
    }
}

impl Param {
    pub(crate) const fn optional(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, kind, required: false, what }
    }

    pub(crate) const fn required(name: &'static str, kind: Kind, what: &'static str) -> Param {
        Param { name, kind, required: true, what }
    }
}

/// How a schema is written.
pub(crate) type Schema = fn(&mut Shapes) -> Value;

/// What a request brings.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    Nothing,
    /// Bytes as they are.
    Octets {
        bytes_max: usize,
    },
    Json {
        bytes_max: usize,
        schema: Schema,
    },
}

impl Takes {
    pub(crate) const fn json<T: Shaped>(bytes_max: usize) -> Takes {
        Takes::Json { bytes_max, schema: T::schema }
    }

    pub(crate) fn bytes_max(self) -> usize {
        match self {
            Takes::Nothing => 0,
            Takes::Octets { bytes_max } | Takes::Json { bytes_max, .. } => bytes_max,
        }
    }
}

/// One answer that a route may give, besides those that any may.
pub(crate) struct Says {
    pub(crate) status: StatusCode,
    pub(crate) what: &'static str,
    pub(crate) shows: Shows,
}

/// What an answer holds.
#[derive(Clone, Copy)]
pub(crate) enum Shows {
    Nothing,
    Octets,
    Json(Schema),
    Events,
    Fault,
}

impl Says {
    pub(crate) const fn json<T: Shaped>(what: &'static str) -> Says {
        Says { status: StatusCode::OK, what, shows: Shows::Json(T::schema) }
    }

    pub(crate) const fn made<T: Shaped>(what: &'static str) -> Says {
        Says { status: StatusCode::CREATED, what, shows: Shows::Json(T::schema) }
    }

    pub(crate) const fn fault(status: StatusCode, what: &'static str) -> Says {
        Says { status, what, shows: Shows::Fault }
    }
}

/// What stood in the places of the names of a path, decoded.
pub(crate) type Params = Vec<(&'static str, Bytes)>;

/// The route of a request, and what its path says.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, Params), Fault> {
    let matching: Vec<(&'static Route, Vec<(&'static str, &str)>)> =
        ROUTES.iter().filter_map(|route| Some((route, matched(route.path, path)?))).collect();
    if matching.is_empty() {
        return Err(Fault::absent(format!("there is nothing at {path:?}"))
            .hint("docs/openapi.json lists what there is"));
    }
    // Where two fit, the one with more literal pieces is meant; it stands first.
    let Some((route, raw)) =
        matching.iter().find(|(route, _)| route.verb.word() == method.as_str())
    else {
        let methods: Vec<&str> = matching.iter().map(|(route, _)| route.verb.word()).collect();
        let allowed = methods.join(", ");
        let said = format!("{method} is not for {path:?}; there is {allowed}");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Fault::new(status, "method", said).allowing(allowed));
    };
    let decode = |(name, raw): &(&'static str, &str)| Ok((*name, octets::decoded(raw, false)?));
    Ok((route, raw.iter().map(decode).collect::<Result<Params, Fault>>()?))
}

/// The raw pieces of `path` that stand where `pattern` has names; `None` where it does not fit.
fn matched<'a>(pattern: &'static str, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let (mut pieces, mut names) = (path.split('/'), Vec::new());
    let mut at = 0;
    for expected in pattern.split('/') {
        let rest = path.get(at..).unwrap_or_default();
        let piece = pieces.next()?;
        at += piece.len() + 1;
        let Some((before, named)) = expected.split_once('{') else {
            if piece != expected {
                return None;
            }
            continue;
        };
        let (name, after) = named.split_once('}')?;
        if let Some(name) = name.strip_suffix("...") {
            return (!rest.is_empty()).then(|| {
                names.push((name, rest));
                names
            });
        }
        let found = piece.strip_prefix(before)?.strip_suffix(after)?;
        if found.is_empty() {
            return None;
        }
        names.push((name, found));
    }
    pieces.next().is_none().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> (&'static str, Vec<(&'static str, Bytes)>) {
        let (route, params) = find(&method, path).unwrap();
        (route.id, params)
    }

    #[test]
    fn a_key_is_all_that_stands_behind_its_place() {
        for (path, key) in [
            ("/v1/kv/a", &b"a"[..]),
            ("/v1/kv/catalog/25544", b"catalog/25544"),
            ("/v1/kv/catalog%2F25544", b"catalog/25544"),
            ("/v1/kv//", b"/"),
            ("/v1/kv/a//b/", b"a//b/"),
            ("/v1/kv/../../status", b"../../status"),
            ("/v1/kv/%ff%00", b"\xff\0"),
            ("/v1/kv/a:multi", b"a:multi"),
        ] {
            assert_eq!(found(Method::GET, path), ("kvGet", vec![("key", key.into())]), "{path}");
        }
    }

    #[test]
    fn a_path_is_one_route_and_no_other() {
        assert_eq!(found(Method::GET, "/v1/kv").0, "kvList");
        assert_eq!(found(Method::GET, "/v1/status").0, "status");
        for path in ["/", "/v1", "/v1/", "/v1/kv/", "/v2/kv/a", "//v1/status", "/v1/status/"] {
            let fault = find(&Method::GET, path).map(|(route, _)| route.id).unwrap_err();
            assert_eq!(Answer::from(fault).status, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_method_that_is_not_there_is_told_which_are() {
        let fault = find(&Method::PATCH, "/v1/kv/a").map(|(route, _)| route.id).unwrap_err();
        let response = Answer::from(fault).into_response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET, PUT, DELETE");
    }

    /// One name means one thing, and a path that fits two routes of one method is served by the
    /// first.
    #[test]
    fn the_table_is_in_order() {
        for (place, route) in ROUTES.iter().enumerate() {
            let names: Vec<_> = ROUTES.iter().filter(|other| other.id == route.id).collect();
            assert_eq!(names.len(), 1, "{}", route.id);
            let sample = route.path.replace("...", "").replace(['{', '}'], "");
            let first = ROUTES.iter().position(|other| {
                other.verb == route.verb && matched(other.path, &sample).is_some()
            });
            assert_eq!(first, Some(place), "{} is hidden", route.id);
            assert!(route.path.starts_with("/v1/"), "{}", route.id);
            assert!(!route.what.ends_with('.') && !route.says.is_empty(), "{}", route.id);
        }
    }
}
