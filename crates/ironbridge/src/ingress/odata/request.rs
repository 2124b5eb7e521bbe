//! What a request says beside its path: which form it wants, and what it will not take.

use axum::http::HeaderMap;
use odata::payload::{Metadata, Style};
use odata::{Options, Problem};
use virtual_tables::{Refused, codes};

/// The line and the headers of one request, of its own or of a batch. *Shape*: `path` and `query` as they came, encoded.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub method: String,
    /// Below `/odata/`.
    pub path: String,
    pub query: String,
    /// `https://host/odata/`, or `/odata/` where nobody said the host.
    pub base: String,
    accept: Option<String>,
    charset: Option<String>,
    prefer: Option<String>,
    max_version: Option<String>,
    version: Option<String>,
}

impl Head {
    pub fn new(method: &str, path: &str, query: &str, headers: &HeaderMap, base: &str) -> Head {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // In several lines it is one list.
        let list = |name: &str| {
            let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        Head {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            base: base.to_owned(),
            accept: list("accept"),
            charset: list("accept-charset"),
            prefer: list("prefer"),
            max_version: text("odata-maxversion"),
            version: text("odata-version"),
        }
    }

    pub fn is_batch(&self) -> bool {
        self.method == "POST" && is_batch(&self.path)
    }

    /// *Errors*: a version that is not ours.
    pub fn versions(&self) -> Result<(), Refused> {
        // Some clients say who they are behind the number.
        let number = |text: &str| text.split(';').next()?.trim().parse::<f32>().ok();
        if let Some(text) = &self.max_version
            && number(text).is_none_or(|version| version < 4.0)
        {
            let message = format!("`OData-MaxVersion: {}`: this service answers in version 4.0", shown(text));
            return Err(Refused::new(400, codes::FORM, message));
        }
        match &self.version {
            Some(text) if number(text).is_none_or(|version| !(4.0..=4.01).contains(&version)) => {
                let message = format!("`OData-Version: {}`: this service takes 4.0", shown(text));
                Err(Refused::new(400, codes::FORM, message))
            }
            _ => Ok(()),
        }
    }

    /// The form of JSON that is wanted. *Errors*: it is not JSON.
    pub fn style(&self, options: &Options) -> Result<Style, Refused> {
        if let Some(charset) = &self.charset
            && !charset.split(',').any(|one| {
                let name = one.split(';').next().unwrap_or_default().trim();
                name == "*" || name.eq_ignore_ascii_case("utf-8")
            })
        {
            return Err(Refused::new(406, codes::FORM, "answers are in UTF-8"));
        }
        if let Some(format) = &options.format {
            let range = if format.contains('/') { format.clone() } else { format!("application/{format}") };
            return json_style(&range).ok_or_else(|| not_json(format));
        }
        let Some(accept) = self.accept.as_deref().filter(|accept| !accept.trim().is_empty()) else {
            return Ok(Style::default());
        };
        let mut best: Option<(f32, Style)> = None;
        for range in accept.split(',') {
            let (style, weight) = (json_style(range), weight(range));
            if let Some(style) = style.filter(|_| weight > 0.0)
                && best.is_none_or(|(known, _)| weight > known)
            {
                best = Some((weight, style));
            }
        }
        best.map(|(_, style)| style).ok_or_else(|| not_json(accept))
    }

    /// *Errors*: XML is not among what is wanted.
    pub fn takes_xml(&self, options: &Options) -> Result<(), Refused> {
        let wanted = options.format.clone().or_else(|| self.accept.clone()).unwrap_or_default();
        let kinds = ["*/*", "application/*", "application/xml", "text/xml", "text/*", "xml"];
        let takes = wanted.split(',').any(|range| {
            let kind = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            kinds.contains(&kind.as_str()) && weight(range) > 0.0
        });
        if wanted.trim().is_empty() || takes {
            return Ok(());
        }
        Err(Refused::new(406, codes::FORM, "the metadata is there as application/xml"))
    }

    /// The page size that is preferred, where one is.
    pub fn page_size(&self) -> Option<u64> {
        let prefer = self.prefer.as_deref()?;
        let size = prefer.split([',', ';']).find_map(|one| {
            let (name, value) = one.split_once('=')?;
            let name = name.trim();
            (name == "odata.maxpagesize" || name == "maxpagesize")
                .then(|| value.trim().trim_matches('"').parse().ok())?
        });
        size.filter(|size| *size > 0)
    }

    pub fn continues_on_error(&self) -> bool {
        self.prefer.as_deref().is_some_and(|prefer| {
            let has = |one: &str| {
                matches!(
                    one.trim(),
                    "odata.continue-on-error"
                        | "continue-on-error"
                        | "odata.continue-on-error=true"
                        | "continue-on-error=true"
                )
            };
            prefer.split([',', ';']).any(has)
        })
    }
}

/// `https://host/odata/` as whoever asked says it, or `/odata/` where nobody said the host. `tls`: we speak it ourselves.
pub(super) fn base(headers: &HeaderMap, tls: bool) -> String {
    // Each proxy on the way may have added what it saw; the first one saw what was asked for.
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        value.split(',').next().map(str::trim)
    };
    let host = first("x-forwarded-host").or_else(|| first("host")).filter(|host| !host.contains(['/', '"', '<']));
    let secure = first("x-forwarded-proto").map_or(tls, |proto| proto.eq_ignore_ascii_case("https"));
    let scheme = if secure { "https" } else { "http" };
    host.map_or_else(|| "/odata/".to_owned(), |host| format!("{scheme}://{host}/odata/"))
}

/// Whether a path leads to `$batch`. *Shape*: as it came, encoded.
pub(super) fn is_batch(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    odata::decode(last, false).is_ok_and(|last| last == "$batch")
}

/// What version 4.01 writes without its `$`: to leave it out as an option of somebody's own would be another answer.
const WITH_DOLLAR: [&str; 9] = ["select", "filter", "orderby", "top", "skip", "count", "expand", "search", "apply"];

/// The options of a query. *Errors*: what is not OData; an option that the standard or we do not have.
pub(super) fn options(query: &str) -> Result<Options, Refused> {
    if query.len() > super::QUERY_BYTES_MAX {
        return Err(Refused::new(400, codes::MALFORMED, "the query is longer than 128 KB"));
    }
    let options = Options::parse(query).map_err(|error| match &error.problem {
        Problem::UnknownOption(name) if ["$compute", "$schemaversion", "$index"].contains(&name.as_str()) => {
            Refused::new(501, codes::UNSUPPORTED, format!("the query option `{}` is not supported", shown(name)))
        }
        Problem::UnknownOption(name) => {
            Refused::new(400, codes::MALFORMED, format!("there is no query option `{}`", shown(name)))
        }
        problem => Refused::new(
            400,
            codes::MALFORMED,
            format!("{problem} at position {} of `{}`", error.at, shown(&error.text)),
        ),
    })?;
    match options.custom.iter().find(|(name, _)| WITH_DOLLAR.contains(&name.as_str())) {
        Some((name, _)) => {
            Err(Refused::new(400, codes::MALFORMED, format!("`{name}` is no query option: it is written `${name}`")))
        }
        None => Ok(options),
    }
}

/// The beginning of what somebody sent: an answer does not grow with a question.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(200).filter(|c| !c.is_control()).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

fn not_json(wanted: &str) -> Refused {
    Refused::new(406, codes::FORM, format!("answers are there as application/json, and `{}` is wanted", shown(wanted)))
}

fn weight(range: &str) -> f32 {
    let q = range.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

/// The style that a media range asks for; nothing where it is not JSON.
fn json_style(range: &str) -> Option<Style> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    if !["application/json", "application/*", "*/*"].contains(&kind.as_str()) {
        return None;
    }
    let mut style = Style::default();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "odata.metadata" | "metadata" => {
                style.metadata = match value {
                    "none" => Metadata::None,
                    "minimal" => Metadata::Minimal,
                    "full" => Metadata::Full,
                    _ => return None,
                };
            }
            "ieee754compatible" => style.numbers_as_text = value.eq_ignore_ascii_case("true"),
            "charset" if !value.eq_ignore_ascii_case("utf-8") => return None,
            _ => {}
        }
    }
    Some(style)
}

/// The content type that says how it was written.
pub(super) fn content_type(style: Style) -> String {
    let metadata = match style.metadata {
        Metadata::None => "none",
        Metadata::Minimal => "minimal",
        Metadata::Full => "full",
    };
    let numbers = if style.numbers_as_text { ";IEEE754Compatible=true" } else { "" };
    format!("application/json;odata.metadata={metadata}{numbers};charset=utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_best_one_that_is_json() {
        let check = |accept: &str, format: &str, expected: Result<&str, u16>| {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert("accept", accept.parse().unwrap());
            }
            let head = Head::new("GET", "", "", &headers, "/odata/");
            let options = Options { format: Some(format.to_owned()).filter(|f| !f.is_empty()), ..Options::default() };
            let found = head.style(&options).map(content_type).map_err(|refused| refused.status);
            assert_eq!(found, expected.map(str::to_owned), "{accept} {format}");
        };
        let minimal = "application/json;odata.metadata=minimal;charset=utf-8";
        check("", "", Ok(minimal));
        check("*/*", "", Ok(minimal));
        check("text/html, application/xhtml+xml, */*;q=0.8", "", Ok(minimal));
        check("application/xml", "", Err(406));
        check("application/xml", "json", Ok(minimal));
        check("application/json;q=0", "", Err(406));
        check("application/json;odata.metadata=none", "", Ok("application/json;odata.metadata=none;charset=utf-8"));
        check(
            "application/json;odata.metadata=minimal;IEEE754Compatible=true",
            "",
            Ok("application/json;odata.metadata=minimal;IEEE754Compatible=true;charset=utf-8"),
        );
        check("application/json;charset=iso-8859-1", "", Err(406));
        check("", "atom", Err(406));
    }

    #[test]
    fn links_go_where_the_request_came_from() {
        let check = |given: &[(&'static str, &str)], tls: bool, expected: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(base(&headers, tls), expected, "{given:?}");
        };
        check(&[], true, "/odata/");
        check(&[("host", "hub:7700")], false, "http://hub:7700/odata/");
        check(&[("host", "hub:7700")], true, "https://hub:7700/odata/");
        check(&[("host", "hub:7700"), ("x-forwarded-proto", "https")], false, "https://hub:7700/odata/");
        check(&[("host", "hub:7700"), ("x-forwarded-proto", "http")], true, "http://hub:7700/odata/");
        let through_two = [("x-forwarded-host", "hub.contoso.example, inner"), ("x-forwarded-proto", "HTTPS, http")];
        check(&through_two, false, "https://hub.contoso.example/odata/");
    }

    #[test]
    fn a_version_may_have_a_name_behind_it() {
        let check = |max: &str, version: &str, fits: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("odata-maxversion", max.parse().unwrap());
            headers.insert("odata-version", version.parse().unwrap());
            let head = Head::new("GET", "", "", &headers, "/odata/");
            assert_eq!(head.versions().is_ok(), fits, "{max} {version}");
        };
        check("4.0", "4.0", true);
        check("4.0;NetFx", "4.0;NetFx", true);
        check("4.01;", "4.01", true);
        check("3.0;NetFx", "4.0", false);
        check("4.0", "3.0;NetFx", false);
        check("4.0", "", false);
    }
}
