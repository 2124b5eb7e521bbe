//! Not empty for long.

use super::Function;

pub(crate) const FUNCTIONS: &[Function] = &[];
