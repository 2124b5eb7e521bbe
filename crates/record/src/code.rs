//! The codes of everything that a person can meet, each with a page that `ironbridge explain CODE` shows.

/// A code such as `IB0412`. *Shape*: `IB` and four digits; the page is `docs/runbooks/<code>.md`.
///
/// The hundreds say where it comes from: 00 the hub and its folder, 01 the form of a definition, 02 designs that are
/// refused, 03 formulas and types at `check`, 04 one row, 05 a destination, 06 a source, 07 a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}
