//! One line of a mapping, as the definition reads it.

use record::Value;

/// What one target gets: a field of the entity (when reading), or a column of the system (when writing).
///
/// *Shape*: `both:` in a definition is one rule of each direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// When reading the name of a field; when writing a column, or a JSON path (`customer.code`).
    pub target: String,
    pub expr: Expr,
    /// Write the column when the row is created, and never again.
    pub only_on_create: bool,
    /// Where it stands, for people: `systems/finance.yaml:14`.
    pub origin: String,
}

/// Where the value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A column or JSON path (when reading), a field (when writing), as it is.
    Source(String),
    /// A plain number, `true` or `false`.
    Constant(Value),
    /// Power Fx, without the leading `=`.
    Formula(String),
    /// A choice, both ways: the entity's names with the system's values.
    Choice { source: String, names: Vec<(String, Value)> },
    /// Children.
    Lines(Lines),
}

/// How the children of a row are read or written.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// When reading: the table of the children, or the JSON path of the array. When writing: the field of the entity.
    pub of: String,
    /// When they are rows of a table: its column that points to the parent. When writing, the table is the rule's target.
    pub parent: Option<String>,
    pub rules: Vec<Rule>,
}

impl Expr {
    /// As it stands in the file, for people.
    pub fn text(&self) -> String {
        match self {
            Expr::Source(name) => name.clone(),
            Expr::Constant(value) => value.to_string(),
            Expr::Formula(formula) => format!("={formula}"),
            Expr::Choice { source, names } => {
                let names: Vec<String> = names.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{source}, choice {{ {} }}", names.join(", "))
            }
            Expr::Lines(lines) => format!("lines of {}", lines.of),
        }
    }
}
