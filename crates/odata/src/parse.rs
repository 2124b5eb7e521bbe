//! Text to tree, by recursive descent over a bounded cursor.

pub mod apply;
pub mod cursor;
pub mod expression;
mod literal;
pub mod options;
pub mod resource;
