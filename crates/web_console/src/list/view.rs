//! What somebody wants to see of a list, as its address says it.

use super::Plain;
use crate::ask::Ask;
use crate::words::escaped;

const SIZE: usize = 50;

/// A list's address, understood. What makes no sense in it is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub text: Option<String>,
    chosen: Vec<(&'static str, String)>,
    pub sort: &'static str,
    pub descending: bool,
    default: (&'static str, bool),
    /// Counted from one.
    pub page: usize,
    pub size: usize,
}

impl View {
    pub fn of(ask: &Ask, choices: &[&'static str], sorts: &[&'static str], default: (&'static str, bool)) -> View {
        let wanted = ask.query("sort").unwrap_or_default();
        let (wanted, backwards) = wanted.strip_prefix('-').map_or((wanted, false), |name| (name, true));
        let sort = sorts.iter().find(|name| **name == wanted);
        View {
            text: ask.query("q").map(str::to_owned),
            chosen: choices.iter().filter_map(|name| Some((*name, ask.query(name)?.to_owned()))).collect(),
            sort: sort.copied().unwrap_or(default.0),
            descending: if sort.is_some() { backwards } else { default.1 },
            default,
            page: ask
                .query("page")
                .and_then(|page| page.parse().ok())
                .filter(|n| (1..=100_000).contains(n))
                .unwrap_or(1),
            size: ask
                .query("size")
                .and_then(|size| size.parse().ok())
                .filter(|n| (1..=500).contains(n))
                .unwrap_or(SIZE),
        }
    }

    pub fn chosen(&self, name: &str) -> Option<&String> {
        self.chosen.iter().find(|(chosen, _)| *chosen == name).map(|(_, value)| value)
    }

    pub fn is_narrowed(&self) -> bool {
        self.text.is_some() || !self.chosen.is_empty()
    }

    /// Whether the text is in one of the values, whatever the capitals.
    pub fn finds(&self, values: impl Iterator<Item = Plain>) -> bool {
        let Some(text) = self.text.as_ref().map(|text| text.to_lowercase()) else { return true };
        let mut texts = values.filter_map(|value| match value {
            Plain::Text(text) => Some(text.to_lowercase()),
            Plain::Number(n) => Some(n.to_string()),
            Plain::Time(_) => None,
        });
        texts.any(|value| value.contains(&text))
    }

    pub fn order<T>(&self, rows: &mut [T], value: impl Fn(&T) -> Plain) {
        rows.sort_by(|one, other| {
            let order = match (value(one), value(other)) {
                (Plain::Text(one), Plain::Text(other)) => one.to_lowercase().cmp(&other.to_lowercase()),
                (Plain::Number(one), Plain::Number(other)) => one.cmp(&other),
                (Plain::Time(one), Plain::Time(other)) => one.cmp(&other),
                _ => std::cmp::Ordering::Equal,
            };
            if self.descending { order.reverse() } else { order }
        });
    }

    /// The order, as in an address.
    pub fn sorted(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.sort)
    }

    pub fn with_page(&self, page: usize) -> String {
        View { page, ..self.clone() }.address("")
    }

    /// Sorted by a column; backwards where it is sorted by it already.
    pub fn with_sort(&self, sort: &'static str) -> String {
        let descending = self.sort == sort && !self.descending;
        View { sort, descending, page: 1, ..self.clone() }.address("")
    }

    /// The list as a file; of one that does not fit into one, the part with this number, counted from one.
    pub fn as_csv(&self, part: usize) -> String {
        let first = View { page: 1, ..self.clone() }.address("csv");
        if part > 1 { format!("{first}&part={part}") } else { first }
    }

    fn address(&self, file: &str) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut add = |name: &str, value: &str| parts.push(format!("{name}={}", escaped(value)));
        if let Some(text) = &self.text {
            add("q", text);
        }
        self.chosen.iter().for_each(|(name, value)| add(name, value));
        if (self.sort, self.descending) != self.default {
            add("sort", &self.sorted());
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if self.size != SIZE {
            add("size", &self.size.to_string());
        }
        if !file.is_empty() {
            add("as", file);
        }
        format!("?{}", parts.join("&"))
    }
}
