//! From one page to the next: by a link, a cursor, a number or an offset. No IO.
//!
//! Pages that are counted go on until one of them is empty or is not there: an API may give fewer rows in a page than it
//! was asked for, because it has a limit of its own or leaves out what nobody may see, and a short page is not the last.

use record::{Code, Fault, Options};
use serde_json::{Value as Json, json};

use crate::http::{Answer, typed};

/// How the pages of a list follow each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paging {
    by: By,
    /// The parameter that asks for so many rows.
    size: Option<(String, usize)>,
}

#[derive(Debug, Clone, PartialEq)]
enum By {
    /// The path of the link, else the header `Link`.
    Link(Option<String>),
    Cursor {
        path: String,
        parameter: String,
    },
    Page {
        parameter: String,
        first: u64,
    },
    Offset(String),
}

/// One page of a list. *Shape*: as JSON it is a part of a cursor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    First,
    /// A path below the system's address.
    Link(String),
    Cursor(String),
    /// The number of the page, or of the rows before it.
    Number(u64),
}

impl Paging {
    /// By a link in the answer.
    pub fn link(path: &str) -> Paging {
        Paging { by: By::Link(Some(path.to_owned())), size: None }
    }

    /// *Errors*: more than one way is given.
    pub fn new(list: &Options, system: &str) -> Result<Paging, Fault> {
        let text = |group: &Options, name: &str| group.text(name).unwrap_or_default().to_owned();
        let number = |group: &Options, name: &str| group.number(name).and_then(|n| u64::try_from(n).ok());
        let ways = [
            list.text("next").map(|path| By::Link(Some(path.to_owned()))),
            list.group("cursor").map(|g| By::Cursor { path: text(&g, "path"), parameter: text(&g, "parameter") }),
            list.group("page")
                .map(|g| By::Page { parameter: text(&g, "parameter"), first: number(&g, "first").unwrap_or(1) }),
            list.group("offset").map(|g| By::Offset(text(&g, "parameter"))),
        ];
        let mut ways = ways.into_iter().flatten();
        let by = ways.next().unwrap_or(By::Link(None));
        if ways.next().is_some() {
            let what = format!("`list:` of `{system}` has more than one way from page to page");
            return Err(Fault::stop(Code("IB0510"), what)
                .at_system(system)
                .fix("write one of `next:`, `cursor:`, `page:` and `offset:`; nothing was read"));
        }
        let size = list.group("size").map(|g| (text(&g, "parameter"), number(&g, "rows").unwrap_or(1) as usize));
        Ok(Paging { by, size })
    }

    /// Of a request for some rows beside the list. What the answer says of its next page means the same there; numbers are
    /// asked for only where the list is: `is_there`.
    pub fn beside(list: Option<&Paging>, is_there: bool) -> Paging {
        match list {
            Some(list) if is_there => list.clone(),
            Some(Paging { by: by @ (By::Link(_) | By::Cursor { .. }), .. }) => Paging { by: by.clone(), size: None },
            _ => Paging { by: By::Link(None), size: None },
        }
    }

    /// The path of a page of the list that is asked for by `request`.
    pub fn path(&self, request: &str, place: &Place) -> String {
        if let Place::Link(path) = place {
            return path.clone();
        }
        let mut path = request.to_owned();
        let mut add = |name: &str, value: &str| {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&format!("{name}={}", odata::encode(value)));
        };
        if let Some((name, rows)) = &self.size {
            add(name, &rows.to_string());
        }
        match (&self.by, place) {
            (By::Cursor { parameter, .. }, Place::Cursor(cursor)) => add(parameter, cursor),
            (By::Page { parameter, .. }, Place::Number(number)) => add(parameter, &number.to_string()),
            (By::Page { parameter, first }, _) => add(parameter, &first.to_string()),
            (By::Offset(parameter), Place::Number(number)) => add(parameter, &number.to_string()),
            (By::Offset(parameter), _) => add(parameter, "0"),
            _ => {}
        }
        path
    }

    /// Whether there is an end where a page is not there.
    pub fn ends_behind(&self, place: &Place) -> bool {
        matches!(place, Place::Number(_)) && matches!(self.by, By::Page { .. } | By::Offset(_))
    }

    /// The page after `place`, which had these rows; `None` where it was the last. `before` is what is kept of the page
    /// before it, by [`Edges::of`].
    ///
    /// `link` turns a link of the answer into a path.
    ///
    /// *Errors*: a page is the one before it again, so that there would be no end, or the rest be missed.
    pub fn next(
        &self,
        place: &Place,
        answer: &Answer,
        rows: &[Json],
        before: Option<&Edges>,
        link: impl Fn(&str) -> Result<String, Fault>,
    ) -> Result<Option<Place>, Fault> {
        let found = |path: &str| match typed::at(&answer.json, path)? {
            Json::String(text) if !text.is_empty() => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let again = Edges::of(rows).as_ref() == before && !rows.is_empty();
        let endless = |what: String| {
            Fault::stop(Code("IB0510"), what)
                .fix("correct `list:` in the system's file; the rest of the rows was not read")
        };
        let counted = |parameter: &str, number: u64, next: u64| match again {
            false => Ok((!rows.is_empty()).then_some(Place::Number(next))),
            // Some give the last page again for each one behind it.
            true if self.size.as_ref().is_some_and(|(_, size)| rows.len() < *size) => Ok(None),
            true => Err(endless(format!("with `{parameter}={number}` the page before comes again"))),
        };
        let number = |first| match place {
            Place::Number(number) => *number,
            _ => first,
        };
        Ok(match &self.by {
            By::Link(path) => {
                let next = path.as_deref().and_then(found).or_else(|| answer.next.clone());
                let next = next.map(|next| link(&next)).transpose()?.map(Place::Link);
                if again && next.as_ref() == Some(place) {
                    return Err(endless("the link to the next page leads to the same page again".to_owned()));
                }
                next
            }
            By::Cursor { path, .. } => {
                // A cursor that repeats itself would never end.
                found(path).map(Place::Cursor).filter(|next| next != place)
            }
            By::Page { parameter, first } => counted(parameter, number(*first), number(*first) + 1)?,
            By::Offset(parameter) => counted(parameter, number(0), number(0) + rows.len() as u64)?,
        })
    }
}

/// The first and the last row of a page, by which it is known if it comes again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edges {
    rows: usize,
    first: Json,
    last: Json,
}

impl Edges {
    pub fn of(rows: &[Json]) -> Option<Edges> {
        Some(Edges { rows: rows.len(), first: rows.first()?.clone(), last: rows.last()?.clone() })
    }
}

impl Place {
    pub fn json(&self) -> Json {
        match self {
            Place::First => json!({}),
            Place::Link(path) => json!({ "link": path }),
            Place::Cursor(cursor) => json!({ "cursor": cursor }),
            Place::Number(number) => json!({ "number": number }),
        }
    }

    pub fn of(json: &Json) -> Option<Place> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
        if let Some(path) = text("link") {
            return Some(Place::Link(path));
        }
        if let Some(cursor) = text("cursor") {
            return Some(Place::Cursor(cursor));
        }
        if let Some(number) = json.get("number").and_then(Json::as_u64) {
            return Some(Place::Number(number));
        }
        json.as_object()?.is_empty().then_some(Place::First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::OptionValue;

    fn list(yaml: &[(&str, &[(&str, &str)])]) -> Options {
        let text = |text: &&str| match text.parse() {
            Ok(number) => OptionValue::Number(number),
            Err(_) => OptionValue::Text((*text).to_owned()),
        };
        let group = |pairs: &&[(&str, &str)]| {
            OptionValue::Map(pairs.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect())
        };
        Options(
            yaml.iter()
                .map(|(name, pairs)| {
                    let value = if pairs[0].0.is_empty() { text(&pairs[0].1) } else { group(pairs) };
                    ((*name).to_owned(), value)
                })
                .collect(),
        )
    }

    /// The paths of all pages of a list whose answers are these, with the numbers of their rows, and what ended it.
    fn walk(options: &Options, answers: &[(&str, std::ops::Range<u32>)]) -> (Vec<String>, Option<Fault>) {
        let paging = Paging::new(options, "erp").unwrap();
        let (mut place, mut before, mut paths) = (Place::First, None, Vec::new());
        for (json, rows) in answers {
            paths.push(paging.path("/orders?open=1", &place));
            let answer = Answer { json: serde_json::from_str(json).unwrap(), ..Answer::default() };
            let rows: Vec<Json> = rows.clone().map(|at| json!({ "id": at })).collect();
            assert_eq!(Place::of(&place.json()), Some(place.clone()));
            match paging.next(&place, &answer, &rows, before.as_ref(), |link| Ok(link.to_owned())) {
                Ok(Some(next)) => (place, before) = (next, Edges::of(&rows)),
                Ok(None) => return (paths, None),
                Err(fault) => return (paths, Some(fault)),
            }
        }
        panic!("it goes on: {paths:?}");
    }

    #[test]
    fn pages_follow_each_other_to_the_last() {
        let size = ("size", &[("parameter", "limit"), ("rows", "2")][..]);
        let ended = |paths: &[&str]| (paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), None);
        let next = list(&[("next", &[("", "links.next")])]);
        assert_eq!(
            walk(&next, &[(r#"{"links":{"next":"/p2"}}"#, 0..2), (r#"{"links":{"next":""}}"#, 2..4)]),
            ended(&["/orders?open=1", "/p2"])
        );
        let same = r#"{"links":{"next":"/more"}}"#;
        let fault = walk(&next, &[(same, 0..2), (same, 2..4), (same, 2..4)]).1.unwrap();
        assert_eq!(fault.what, "the link to the next page leads to the same page again");
        let cursor = list(&[("cursor", &[("path", "c"), ("parameter", "after")]), size]);
        assert_eq!(
            walk(&cursor, &[(r#"{"c":"a b"}"#, 0..2), (r#"{"c":7}"#, 2..4), (r#"{"c":7}"#, 4..6)]),
            ended(&["/orders?open=1&limit=2", "/orders?open=1&limit=2&after=a%20b", "/orders?open=1&limit=2&after=7"]),
            "a cursor that repeats itself ends it"
        );
        let page = list(&[("page", &[("parameter", "page")]), size]);
        assert_eq!(
            walk(&page, &[("{}", 0..1), ("{}", 1..2), ("{}", 0..0)]),
            ended(&["/orders?open=1&limit=2&page=1", "/orders?open=1&limit=2&page=2", "/orders?open=1&limit=2&page=3"]),
            "an API may give fewer rows than it was asked for"
        );
        assert_eq!(
            walk(&page, &[("{}", 0..2), ("{}", 2..3), ("{}", 2..3)]).0.len(),
            3,
            "the last page is given for each one behind it"
        );
        let page = list(&[("page", &[("parameter", "p"), ("first", "0")])]);
        assert_eq!(walk(&page, &[("{}", 0..9), ("{}", 0..0)]), ended(&["/orders?open=1&p=0", "/orders?open=1&p=1"]));
        let offset = list(&[("offset", &[("parameter", "skip")]), size]);
        assert_eq!(
            walk(&offset, &[("{}", 0..2), ("{}", 2..4), ("{}", 0..0)]),
            ended(&["/orders?open=1&limit=2&skip=0", "/orders?open=1&limit=2&skip=2", "/orders?open=1&limit=2&skip=4"])
        );
        let fault = walk(&offset, &[("{}", 0..2), ("{}", 0..2)]).1.unwrap();
        assert_eq!(fault.what, "with `skip=2` the page before comes again");
        let two = list(&[("next", &[("", "n")]), ("page", &[("parameter", "p")])]);
        assert!(Paging::new(&two, "erp").unwrap_err().what.contains("more than one way"));
    }
}
