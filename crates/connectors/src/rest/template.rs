//! `PUT /orders/{erp_number}`: a method, a path, and fields of the entity in braces.

use record::{Code, Fault};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    pub method: reqwest::Method,
    parts: Vec<Part>,
    text: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// *Errors*: a sentence, for what is no request.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (method, path) = text.trim().split_once(' ').unwrap_or(("GET", text.trim()));
        let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
        let path = path.trim();
        if !known || !path.starts_with('/') {
            return Err(format!("`{text}` is no request; write a method and a path, such as `GET /orders/{{number}}`"));
        }
        let mut parts = Vec::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (field, after) =
                after.split_once('}').ok_or_else(|| format!("`{text}` has a `{{` without its `}}`"))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field.trim().to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let method = method.parse().expect("the method is one of five");
        Ok(Template { method, parts, text: text.to_owned() })
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether both ask the same thing, whatever of it.
    pub fn is_beside(&self, other: &Template) -> bool {
        let place = |of: &Template| of.text.split('?').next().map(|text| text.trim().to_owned());
        place(self) == place(other)
    }

    /// The path with its fields filled in, or the field that has no value.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Field(field) => path.push_str(&odata::encode(&value(field).ok_or_else(|| field.clone())?)),
            }
        }
        Ok(path)
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The template of an option, where it is there.
pub(super) fn option(system: &str, options: &record::Options, name: &str) -> Result<Option<Template>, Fault> {
    let Some(text) = options.text(name) else { return Ok(None) };
    let wrong = |why| Fault::stop(Code("IB0510"), format!("`{name}:` of `{system}`: {why}"));
    Template::parse(text).map(Some).map_err(|why| {
        wrong(why).at_system(system).fix("correct the request in the system's file; nothing was read or written")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_values() {
        let template = Template::parse("GET /orders/{ number }/x?ref={ref}").unwrap();
        assert_eq!(template.fields().collect::<Vec<_>>(), ["number", "ref"]);
        let path = template.fill(|field| Some(if field == "ref" { "a&b=c/../ü" } else { "7/8" }.to_owned()));
        assert_eq!(path.unwrap(), "/orders/7%2F8/x?ref=a%26b%3Dc%2F..%2F%C3%BC");
        assert_eq!(template.fill(|_| None), Err("number".to_owned()));
        for wrong in ["", "FETCH /x", "GET x", "GET /x/{y"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
