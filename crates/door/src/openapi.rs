//! The table of routes, as others read it: OpenAPI 3.1.

use serde_json::{Map, Value, json};

use crate::{
    ask::{DEADLINE, KEY},
    limits::{DEADLINE_MS, DEADLINE_MS_MAX},
    numbers::Count,
    route::{Kind, Param, Route, Shows, Takes, Verb},
    routes::ROUTES,
    shape::{Shaped, Shapes, named, shape},
};

shape! {
    /// Why something else is the answer than what was asked for.
    ErrorDocument {
        /// What went wrong.
        error: ErrorBody,
        /// What is there instead, where something is.
        present: Option<Anything>,
        /// What to ask about, where it is unknown whether a request was applied.
        request: Option<String>,
        /// The revision to which the cluster has come, where a later one was asked for.
        now: Option<Count>,
    }
}

shape! {
    /// What went wrong.
    ErrorBody {
        /// For programs: one word, and the same for ever.
        code: String,
        /// For people.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    }
}

/// Whatever it is.
#[derive(Debug, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Anything(Value);

impl Shaped for Anything {
    fn schema(_: &mut Shapes) -> Value {
        json!({})
    }
}

/// What any request may be answered with.
const ALWAYS: &[(&str, &str)] = &[
    ("400", "It cannot be understood, breaks a limit, or contradicts itself"),
    ("401", "The token that the door asks for is not shown"),
    ("403", "The caller may not"),
    ("408", "The body took too long"),
    ("411", "The body came without its length"),
    ("413", "The body is too long; it was not read"),
    ("415", "The body is of another kind"),
    ("421", "The host that is named is not this machine"),
    ("422", "The key was used for another request"),
    ("502", "The door has no way into the cluster"),
    (
        "503",
        "Not applied: there is no leader, no quorum, no room or no time. It is safe to ask again, \
         after `Retry-After` seconds",
    ),
    (
        "504",
        "Unknown: it was sent and no answer came in time. `request` names what \
         `POST /v1/requests/{id}:settle` answers about",
    ),
    ("507", "There is as much of it as the cluster holds"),
];

/// The document that `docs/openapi.json` is a copy of.
pub fn openapi() -> String {
    let mut shapes = Shapes::new();
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path.replace("...}", "}")).or_insert_with(|| json!({}));
        path[route.verb.word().to_lowercase()] = operation(route, &mut shapes);
    }
    ErrorDocument::schema(&mut shapes);
    let always = ALWAYS
        .iter()
        .map(|(status, what)| (format!("Status{status}"), response(what, Some(fault_content()))));
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Synod",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A Synod cluster for programs in any language: docs/http.md.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:7410" }],
        "paths": paths,
        "components": {
            "schemas": shapes,
            "responses": always.collect::<Map<_, _>>(),
        },
    });
    let mut text = serde_json::to_string_pretty(&document)
        .expect("a document is plain data with text for keys, which is always written");
    text.push('\n');
    text
}

fn operation(route: &Route, shapes: &mut Shapes) -> Value {
    let mut parameters: Vec<Value> = names(route.path).map(|name| in_path(route, name)).collect();
    parameters.extend(route.query.iter().map(|param| parameter("query", param)));
    parameters.extend(route.headers.iter().map(|param| parameter("header", param)));
    if route.verb != Verb::Get {
        parameters.push(json!({
            "name": KEY,
            "in": "header",
            "description": "Under one key one request takes effect, once, at whichever door it is \
                repeated; the cluster knows it for a day, and the latest 100 000 of all",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        }));
    }
    parameters.push(json!({
        "name": DEADLINE,
        "in": "header",
        "description": "Milliseconds that it may take in the cluster",
        "schema": {
            "type": "integer", "minimum": 1, "maximum": DEADLINE_MS_MAX, "default": DEADLINE_MS,
        },
    }));
    let mut responses = Map::new();
    for says in route.says {
        let content = match says.shows {
            Shows::Nothing => None,
            Shows::Octets => Some(octets()),
            Shows::Events => {
                Some(json!({ "text/event-stream": { "schema": { "type": "string" } } }))
            }
            Shows::Json(schema) => {
                Some(json!({ "application/json": { "schema": schema(shapes) } }))
            }
            Shows::Fault => Some(fault_content()),
        };
        responses.insert(says.status.as_str().to_owned(), response(says.what, content));
    }
    for (status, _) in ALWAYS {
        let reference = format!("#/components/responses/Status{status}");
        responses.entry(*status).or_insert_with(|| json!({ "$ref": reference }));
    }
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.what,
        "description": format!("Takes the role `{}`.", route.needs.word()),
        "parameters": parameters,
        "responses": responses,
    });
    let content = match route.takes {
        Takes::Nothing => return operation,
        Takes::Octets { .. } => octets(),
        Takes::Json { schema, .. } => json!({ "application/json": { "schema": schema(shapes) } }),
    };
    operation["requestBody"] = json!({
        "description": format!("At most {} bytes", route.takes.bytes_max()),
        "content": content,
    });
    operation
}

fn response(what: &str, content: Option<Value>) -> Value {
    match content {
        Some(content) => json!({ "description": what, "content": content }),
        None => json!({ "description": what }),
    }
}

fn fault_content() -> Value {
    json!({ "application/json": { "schema": named("ErrorDocument") } })
}

fn octets() -> Value {
    json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } })
}

/// The names in the path of a route.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('{').skip(1).filter_map(|piece| piece.split(['}', '.']).next())
}

fn in_path(route: &Route, name: &'static str) -> Value {
    let rest = route.path.contains(&format!("{{{name}...}}"));
    let what = if rest { "All that follows, percent-decoded once" } else { "Percent-decoded once" };
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": what,
        "schema": { "type": "string" },
    })
}

fn parameter(place: &str, param: &Param) -> Value {
    let schema = match param.kind {
        Kind::Octets | Kind::Text => json!({ "type": "string" }),
        Kind::Number => json!({ "type": "integer", "minimum": 0 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
    };
    let mut parameter = json!({
        "name": param.name,
        "in": place,
        "description": param.what,
        "schema": schema,
    });
    if param.required {
        parameter["required"] = true.into();
    }
    parameter
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    /// The page that others generate their programs from says what this build serves. After a
    /// change, `SYNOD_WRITE=1 cargo test -p synod-door openapi` writes it anew.
    #[test]
    fn the_openapi_file_is_what_the_routes_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let said = openapi();
        if env::var_os("SYNOD_WRITE").is_some() {
            fs::write(&path, &said).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap();
        assert!(written == said, "docs/openapi.json is old: run this with SYNOD_WRITE=1");
    }

    /// Every reference leads somewhere, and every document is there for somebody.
    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document: Value = serde_json::from_str(&openapi()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/schemas/{name}")), "{name}");
        }
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        Value::String(text) if name == "$ref" => found.push(text.clone()),
                        field => references(field, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
}
