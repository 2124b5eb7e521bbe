//! The field tables of everything that a project defines.

pub(crate) mod accept;
pub(crate) mod decision;
pub(crate) mod entity;
pub(crate) mod flow;
pub(crate) mod form;
pub(crate) mod hub;
pub(crate) mod integration;
pub(crate) mod system;
pub(crate) mod test;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decode::Decoder;
    use crate::files::Files;
    use crate::table::{Field, Shape, Table};
    use crate::yaml;

    fn walk(table: &'static Table, seen: &mut BTreeSet<&'static str>, all: &mut Vec<Field>) {
        fn inner(shape: Shape) -> Option<&'static Table> {
            match shape {
                Shape::Group(table) => Some(table),
                Shape::Many(shape) | Shape::OneOrMany(shape) | Shape::Named(_, shape) => inner(*shape),
                _ => None,
            }
        }
        if !seen.insert(table.name) {
            return;
        }
        for field in table.fields() {
            all.push(*field);
            if let Some(table) = inner(field.shape) {
                walk(table, seen, all);
            }
        }
    }

    fn all() -> Vec<Field> {
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        let tops: [&'static Table; 10] = [
            &hub::HUB,
            &hub::PEOPLE,
            &hub::ENVIRONMENT,
            &entity::ENTITY,
            &system::SYSTEM,
            &integration::BATCH,
            &integration::EVENT,
            &integration::VIRTUAL,
            &test::TEST,
            &decision::DECISION,
        ];
        for table in tops.into_iter().chain([&flow::FLOW]).chain(flow::STEPS.iter().map(|(_, table)| *table)) {
            walk(table, &mut seen, &mut all);
        }
        all.extend(system::SYSTEM_ENTITY);
        all
    }

    /// What messages, the schema and the reference page show is what the reader takes.
    #[test]
    fn every_default_and_every_example_can_be_read() {
        let fields = all();
        assert!(fields.len() > 150, "{}", fields.len());
        for field in fields {
            if matches!(field.shape, Shape::Connection | Shape::SystemEntities) {
                continue;
            }
            for text in field.default.into_iter().chain([field.example]) {
                let source = format!("{}: {text}\n", field.name);
                let mut files = Files::default();
                let id = files.add("example.yaml", source.clone());
                let mut problems = Vec::new();
                let (documents, _) = yaml::parse(id, &source, &mut problems);
                assert!(problems.is_empty(), "{source}: {problems:?}");
                let (key, node) = documents[0].map().unwrap()[0].clone();
                let mut decoder = Decoder::new(&files, &[]);
                decoder.value(&node, key.span, &field);
                assert!(decoder.diagnostics.is_empty(), "{source}: {:?}", decoder.diagnostics);
            }
            assert!(field.doc.ends_with(['.', '?']), "`{}`: {}", field.name, field.doc);
        }
    }
}
