use crate::{
    diagnostic::Diagnostic,
    files::Files,
    load::{Draft, LoadOptions},
    model::Project,
};
pub(crate) fn check(_: &Draft, _: &Project, _: &Files, _: &LoadOptions<'_>, _: &mut Vec<Diagnostic>) {}
