//! What is checked across definitions, once each of them has been read.
//!
//! Every rule looks at decoded groups, which know their places, and stays silent about what decoding has reported.

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::load::{Draft, LoadOptions};
use crate::model::Project;

pub(crate) mod entities;
pub(crate) mod integrations;
pub(crate) mod mappings;
pub(crate) mod names;
pub(crate) mod people;
pub(crate) mod references;

pub(crate) use names::Names;

pub(crate) fn check(
    draft: &Draft,
    project: &Project,
    files: &Files,
    options: &LoadOptions<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    entities::check(draft, diagnostics);
    people::check(draft, project, diagnostics);
    integrations::check(draft, project, files, diagnostics);
    mappings::check(draft, project, files, options, diagnostics);
}
