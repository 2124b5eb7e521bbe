//! The JSON Schema of definitions, with the project's own names in it, for completion in an editor.
//!
//! It is made of the same field tables as everything else. What no schema can see (whether a time stood in quotes,
//! whether a formula fits) is left to `check`.

use std::collections::BTreeSet;

use record::{FieldType, Kind};
use serde_json::{Map, Value as Json, json};

use crate::rules::Names;
use crate::table::{Field, Shape, Table, Thing};
use crate::tables;

/// One schema for every file of a project.
pub(crate) fn schema(names: &Names, kinds: &[&'static Kind]) -> Json {
    let mut writer = Writer { names, kinds, defs: Map::new(), begun: BTreeSet::new() };
    // Which key says what a document is, in the order in which they are asked: an integration names its entity too.
    let documents: [(&str, &Table); 10] = [
        ("decision", &tables::decision::DECISION),
        ("hub", &tables::hub::HUB),
        ("system", &tables::system::SYSTEM),
        ("test", &tables::test::TEST),
        ("integration", &tables::integration::BATCH),
        ("entity", &tables::entity::ENTITY),
        ("people", &tables::hub::PEOPLE),
        ("groups", &tables::hub::PEOPLE),
        ("systems", &tables::hub::ENVIRONMENT),
        ("protected", &tables::hub::ENVIRONMENT),
    ];
    let environment = writer.environment();
    let mut chain = environment.clone();
    for (key, table) in documents.iter().rev() {
        let then = match *key {
            "integration" => writer.integration(),
            "system" => writer.system(),
            "systems" | "protected" => environment.clone(),
            _ => writer.reference(table),
        };
        chain = json!({ "if": { "required": [key] }, "then": then, "else": chain });
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An Ironbridge definition",
        "type": "object",
    });
    if let (Some(top), Json::Object(chain)) = (schema.as_object_mut(), chain) {
        top.extend(chain);
        top.insert("$defs".to_owned(), Json::Object(writer.defs));
    }
    schema
}

const PATTERNS: [(&str, &Table); 4] = [
    ("batch", &tables::integration::BATCH),
    ("event", &tables::integration::EVENT),
    ("virtual", &tables::integration::VIRTUAL),
    ("flow", &tables::flow::FLOW),
];

struct Writer<'a> {
    names: &'a Names,
    kinds: &'a [&'static Kind],
    defs: Map<String, Json>,
    begun: BTreeSet<String>,
}

impl Writer<'_> {
    /// `a batch integration` is `#/$defs/batch_integration`.
    fn reference(&mut self, table: &Table) -> Json {
        let slug = slug(table.name);
        if self.begun.insert(slug.clone()) {
            let object = self.object(table.doc, table.fields().copied().collect());
            self.defs.insert(slug.clone(), object);
        }
        json!({ "$ref": format!("#/$defs/{slug}") })
    }

    fn object(&mut self, doc: &str, fields: Vec<Field>) -> Json {
        let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        let mut properties = Map::new();
        for field in &fields {
            properties.insert(field.name.to_owned(), self.property(field));
        }
        json!({ "description": doc, "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }

    fn property(&mut self, field: &Field) -> Json {
        let mut schema = self.shape(field.shape);
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), field.doc.into());
            object.insert("examples".to_owned(), json!([field.example]));
            if let Some(default) = field.default {
                object.insert("default".to_owned(), default.into());
            }
        }
        schema
    }

    fn integration(&mut self) -> Json {
        let all: Vec<Json> = PATTERNS
            .iter()
            .map(|(pattern, table)| {
                json!({ "if": { "properties": { "pattern": { "const": pattern } }, "required": ["pattern"] }, "then": self.reference(table) })
            })
            .collect();
        json!({ "allOf": all, "properties": { "pattern": { "enum": tables::integration::PATTERNS } }, "required": ["pattern"] })
    }

    /// The two groups of a system that its kind decides.
    fn of_kind(&mut self, kind: &Kind) -> (Json, Json) {
        let connection = self.object("How to reach it.", kind.connection.iter().map(Field::from).collect());
        let held = kind.entity.iter().map(Field::from).chain(tables::system::SYSTEM_ENTITY.iter().copied()).collect();
        let held = self.object("What it holds of one entity.", held);
        let entities = json!({
            "type": "object",
            "propertyNames": { "enum": self.names.entities },
            "additionalProperties": held,
        });
        (connection, entities)
    }

    fn system(&mut self) -> Json {
        let mut all = vec![self.reference(&tables::system::SYSTEM)];
        let kinds = self.kinds;
        for kind in kinds {
            let (connection, entities) = self.of_kind(kind);
            all.push(json!({
                "if": { "properties": { "kind": { "const": kind.name } }, "required": ["kind"] },
                "then": { "properties": { "connection": connection, "entities": entities } },
            }));
        }
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        json!({ "allOf": all, "properties": { "kind": { "enum": kinds } } })
    }

    /// What an environment may say: any part of what is defined elsewhere, by the kinds and patterns that it has there.
    fn environment(&mut self) -> Json {
        let mut object =
            self.object(tables::hub::ENVIRONMENT.doc, tables::hub::ENVIRONMENT.fields().copied().collect());
        let names = self.names;
        let kind_of = |name: &String| names.words.get(name).map(String::as_str);
        let mut systems = Map::new();
        for name in &names.systems {
            let kind = self.kinds.iter().copied().find(|kind| kind_of(name) == Some(kind.name));
            let whole = kind.map(|kind| self.system_of(kind));
            systems.insert(name.clone(), whole.map_or(json!({ "type": "object" }), |whole| self.part(whole)));
        }
        let mut integrations = Map::new();
        for name in &names.integrations {
            let table = PATTERNS.iter().find(|(pattern, _)| kind_of(name) == Some(*pattern));
            let whole = table.map(|(_, table)| self.reference(table));
            integrations.insert(name.clone(), whole.map_or(json!({ "type": "object" }), |whole| self.part(whole)));
        }
        let hub = self.reference(&tables::hub::HUB);
        let hub = self.part(hub);
        object["properties"]["systems"]["properties"] = Json::Object(systems);
        object["properties"]["systems"]["additionalProperties"] = json!(false);
        object["properties"]["integrations"]["properties"] = Json::Object(integrations);
        object["properties"]["integrations"]["additionalProperties"] = json!(false);
        object["properties"]["hub"] = hub;
        object
    }

    /// A system of one kind, whole.
    fn system_of(&mut self, kind: &Kind) -> Json {
        let mut system = self.object(tables::system::SYSTEM.doc, tables::system::SYSTEM.fields().copied().collect());
        let (connection, entities) = self.of_kind(kind);
        system["properties"]["connection"] = connection;
        system["properties"]["entities"] = entities;
        system
    }

    /// A schema that takes a part of what the given one takes: nothing is required, at any depth.
    fn part(&mut self, schema: Json) -> Json {
        match schema {
            Json::Object(mut object) => {
                if let Some(slug) = object.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/")) {
                    let in_part = format!("{slug}_in_part");
                    if self.begun.insert(in_part.clone())
                        && let Some(whole) = self.defs.get(slug).cloned()
                    {
                        let part = self.part(whole);
                        self.defs.insert(in_part.clone(), part);
                    }
                    object.insert("$ref".to_owned(), format!("#/$defs/{in_part}").into());
                    return Json::Object(object);
                }
                if object.contains_key("properties") {
                    object.remove("required");
                }
                Json::Object(object.into_iter().map(|(key, value)| (key, self.part(value))).collect())
            }
            Json::Array(all) => Json::Array(all.into_iter().map(|one| self.part(one)).collect()),
            other => other,
        }
    }

    fn shape(&mut self, shape: Shape) -> Json {
        let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
        match shape {
            Shape::Plain(ty) => self.plain(ty),
            Shape::Name => text("^[A-Za-z][A-Za-z0-9_-]{0,63}$"),
            Shape::TextOrFormula | Shape::FieldName | Shape::Pattern | Shape::Zone => {
                json!({ "type": "string", "minLength": 1 })
            }
            Shape::Ref(Thing::Owner) => json!({ "type": "string", "minLength": 1 }),
            Shape::Ref(thing) => {
                let mut names = self.names.all(thing, "");
                if thing == Thing::Who {
                    names.extend(self.names.all(thing, "group:"));
                }
                json!({ "enum": names })
            }
            Shape::TypeWord(words) => json!({ "enum": words }),
            Shape::Email => text("^([^@\\s]+@[^@\\s]+\\.[^@\\s]+|.*\\$\\{.*)$"),
            Shape::Hours => text("^\\s*[0-9]{2}:[0-9]{2}\\s*-\\s*[0-9]{2}:[0-9]{2}\\s*$"),
            Shape::Date => text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
            Shape::Holidays => json!({ "anyOf": [
                { "enum": tables::hub::HOLIDAYS },
                { "type": "array", "items": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" } },
            ] }),
            Shape::Schedule => json!({ "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "object", "properties": { "cron": { "type": "string" } }, "required": ["cron"], "additionalProperties": false },
            ] }),
            Shape::Every { off: true } => text("^(off|\\s*every .*)$"),
            Shape::Every { off: false } => text("^\\s*every "),
            Shape::Cadence | Shape::Wait | Shape::NeededBy | Shape::Rate => json!({ "type": "string", "minLength": 1 }),
            Shape::MinRows => {
                json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "minLength": 1 }] })
            }
            Shape::Formula => text("^="),
            Shape::Read => self.mapping(&[
                &tables::system::CHOICE_OF_COLUMN,
                &tables::system::LINES_OF_TABLE,
                &tables::system::LINES_OF_LIST,
            ]),
            Shape::Write => self.mapping(&[
                &tables::system::CHOICE_OF_FIELD,
                &tables::system::VALUE,
                &tables::system::LINES_WRITTEN,
            ]),
            Shape::Both => self.mapping(&[&tables::system::CHOICE_OF_FIELD]),
            Shape::Group(table) => self.reference(table),
            Shape::Many(inner) => json!({ "type": "array", "items": self.shape(*inner) }),
            Shape::OneOrMany(inner) => {
                let one = self.shape(*inner);
                json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
            }
            Shape::Named(_, inner) => json!({ "type": "object", "additionalProperties": self.shape(*inner) }),
            Shape::Assignments => {
                json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
            }
            Shape::Connection | Shape::SystemEntities => json!({ "type": "object" }),
            Shape::Steps => {
                let steps: Vec<Json> = tables::flow::STEPS.iter().map(|(_, table)| self.reference(table)).collect();
                json!({ "type": "array", "items": { "anyOf": steps } })
            }
            Shape::Choice => {
                json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
            }
            Shape::OneValue => json!({ "type": ["string", "number", "boolean"] }),
            Shape::Anything => json!({}),
        }
    }

    fn mapping(&mut self, groups: &[&Table]) -> Json {
        let mut forms = vec![json!({ "type": "string", "minLength": 1 }), json!({ "type": ["number", "boolean"] })];
        forms.extend(groups.iter().map(|table| self.reference(table)));
        json!({ "type": "object", "additionalProperties": { "anyOf": forms } })
    }

    fn plain(&mut self, ty: FieldType) -> Json {
        match ty {
            FieldType::Text | FieldType::Url | FieldType::Path | FieldType::Column => {
                json!({ "type": "string", "minLength": 1 })
            }
            FieldType::Secret => json!({ "type": "string", "pattern": "\\$\\{(env|file|keyvault):[^}]+\\}" }),
            FieldType::YesNo => json!({ "type": "boolean" }),
            FieldType::WholeNumber { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            FieldType::Duration => {
                json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s+(millisecond|second|minute|hour|day|week)s?\\s*$" })
            }
            FieldType::Size => {
                json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s*([kKmMgG]?[bB]|[bB][yY][tT][eE][sS])\\s*$" })
            }
            FieldType::Percentage => json!({ "type": "string", "pattern": "%\\s*$" }),
            FieldType::OneOf(words) => json!({ "enum": words }),
            FieldType::OneOrMany(inner) => {
                let one = self.plain(*inner);
                json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
            }
            FieldType::List(inner) => json!({ "type": "array", "items": self.plain(*inner) }),
            FieldType::Map(inner) => json!({ "type": "object", "additionalProperties": self.plain(*inner) }),
            FieldType::Group(fields) => self.object("", fields.iter().map(Field::from).collect()),
            FieldType::Formula => json!({ "type": ["string", "number", "boolean"] }),
        }
    }
}

/// `a batch integration` -> `batch_integration`.
pub(crate) fn slug(name: &str) -> String {
    let bare = ["a ", "an ", "the "].iter().find_map(|article| name.strip_prefix(article)).unwrap_or(name);
    bare.replace(' ', "_")
}
