use crate::{diagnostic::Diagnostic, load::Draft, model::Project};
pub(crate) fn check(_: &Draft, _: &Project, _: &mut Vec<Diagnostic>) {}
