//! What is checked across definitions, once each of them has been read.
//!
//! Every rule looks at decoded groups, which know their places, and stays silent about what decoding has reported.

use std::collections::BTreeSet;

use crate::decoded::{Data, Entry, Group};
use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::load::{Draft, LoadOptions};
use crate::model::Project;
use crate::tables::entity::BY_TYPE;

pub mod accept;
pub(crate) mod entities;
pub(crate) mod integrations;
pub(crate) mod mappings;
pub(crate) mod names;
pub(crate) mod people;
mod personal;
mod reality;
mod reasons;
pub(crate) mod references;
pub(crate) mod secrets;
mod systems;
pub(crate) mod tests;
mod verbatim;

pub(crate) use names::Names;
pub(crate) use reality::number;

pub(crate) fn check(
    draft: &Draft,
    project: &Project,
    files: &Files,
    options: &LoadOptions<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    entities::check(draft, diagnostics);
    people::check(draft, project, diagnostics);
    integrations::check(draft, project, files, options, diagnostics);
    mappings::check(draft, project, files, options, diagnostics);
    tests::check(draft, diagnostics);
    systems::called_by_address(draft, options, diagnostics);
    personal::check(draft, project, diagnostics);
    verbatim::check(draft, project, diagnostics);
    reasons::check(draft, files, diagnostics);
    reality::check(draft, options, diagnostics);
    // What holds of the whole is said once everything else is right.
    people::unheard(draft, project, diagnostics);
}

/// The entities of which nothing is broken, so that what is missed in them is really missing.
pub(crate) fn whole(draft: &Draft) -> BTreeSet<&str> {
    let is_whole = |entity: &&Group| {
        let has_what_its_type_needs = |entry: &Entry| {
            let Some(field) = entry.value.group() else { return false };
            let Some(ty) = field.text("type") else { return false };
            BY_TYPE.iter().all(|(key, types, needed)| !needed || !types.contains(&ty) || field.entry(key).is_some())
                && !matches!(field.get("values"), Some(Data::List(values)) if values.is_empty())
        };
        matches!(entity.get("fields"), Some(Data::Named(_)))
            && entity.get("key").is_some()
            && entity.strings("key").iter().all(|key| entity.named("fields").iter().any(|field| *field.name == *key))
            && !entity.is_broken()
            && entity.named("fields").iter().all(has_what_its_type_needs)
    };
    draft.entities.iter().filter(is_whole).filter_map(|entity| entity.text("entity")).collect()
}
