//! The field tables of everything that a project defines.

pub(crate) mod entity;
pub(crate) mod flow;
pub(crate) mod hub;
pub(crate) mod integration;
pub(crate) mod system;
pub(crate) mod test;
