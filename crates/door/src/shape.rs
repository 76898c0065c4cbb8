//! JSON documents that describe themselves: what is read and written, and what the OpenAPI file
//! says of it, is one definition.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Every document that has a name, with its schema.
pub(crate) type Shapes = BTreeMap<&'static str, Value>;

/// Whatever a document is made of.
pub(crate) trait Shaped {
    /// Whether a document without it is none.
    const REQUIRED: bool = true;

    /// Its JSON schema; what it names is put into `shapes`.
    fn schema(shapes: &mut Shapes) -> Value;

    /// Whether it is left out when it is written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// A document: `/// What it is` and its fields, each with what it means.
macro_rules! shape {
    ($(#[doc = $what:literal])+ $name:ident {
        $($(#[doc = $means:literal])+ $field:ident: $kind:ty),* $(,)?
    }) => {
        $(#[doc = $what])+
        #[derive(Debug, serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $(
                $(#[doc = $means])+
                #[serde(skip_serializing_if = "crate::shape::Shaped::is_absent")]
                pub(crate) $field: $kind,
            )*
        }

        impl crate::shape::Shaped for $name {
            fn schema(shapes: &mut crate::shape::Shapes) -> serde_json::Value {
                let name = stringify!($name);
                if !shapes.contains_key(name) {
                    // Put first, so that a document may hold its like.
                    shapes.insert(name, serde_json::Value::Null);
                    let fields: Vec<(&str, bool, serde_json::Value)> = vec![$((
                        stringify!($field),
                        <$kind as crate::shape::Shaped>::REQUIRED,
                        crate::shape::explained(
                            <$kind as crate::shape::Shaped>::schema(shapes),
                            &[$($means),+],
                        ),
                    )),*];
                    shapes.insert(name, crate::shape::object(&[$($what),+], fields));
                }
                crate::shape::named(name)
            }
        }
    };
}
pub(crate) use shape;

/// A reference to a document.
pub(crate) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A schema with what it means.
pub(crate) fn explained(mut schema: Value, means: &[&str]) -> Value {
    schema["description"] = joined(means).into();
    schema
}

/// An object with these fields and no others.
pub(crate) fn object(what: &[&str], fields: Vec<(&str, bool, Value)>) -> Value {
    let required: Vec<&str> =
        fields.iter().filter(|(_, required, _)| *required).map(|(name, ..)| *name).collect();
    let properties: serde_json::Map<String, Value> =
        fields.into_iter().map(|(name, _, schema)| (name.to_owned(), schema)).collect();
    let mut schema = json!({
        "type": "object",
        "description": joined(what),
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

impl Shaped for String {
    fn schema(_: &mut Shapes) -> Value {
        json!({ "type": "string" })
    }
}

impl Shaped for bool {
    fn schema(_: &mut Shapes) -> Value {
        json!({ "type": "boolean" })
    }
}

impl Shaped for u32 {
    fn schema(_: &mut Shapes) -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl<T: Shaped> Shaped for Option<T> {
    const REQUIRED: bool = false;

    fn schema(shapes: &mut Shapes) -> Value {
        T::schema(shapes)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shaped> Shaped for Vec<T> {
    fn schema(shapes: &mut Shapes) -> Value {
        json!({ "type": "array", "items": T::schema(shapes) })
    }
}
