//! `$batch`: many requests in one, as `multipart/mixed`.
//!
//! *Source*: "Execute batch operations using the Web API" (parts in order; with `odata.continue-on-error` every part is
//! answered; change sets, which are all-or-nothing, are not used).

use bytes::Bytes;

/// One request of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub method: &'static str,
    /// Below the root of the service, already percent-encoded.
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    /// JSON, of the type that a `Content-Type` in the headers says more of.
    pub body: Option<String>,
}

/// The answer to one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PartAnswer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl PartAnswer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The content type and the body of a batch, for the service at `root` (`/api/data/v9.2/`). `boundary` is letters, digits,
/// `-` and `_`, and stands without quotes, which SAP's services do not read.
pub fn write(parts: &[Part], boundary: &str, root: &str) -> (String, Bytes) {
    let mut out = String::new();
    for part in parts {
        out.push_str(&format!(
            "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{} {root}{} HTTP/1.1\r\n",
            part.method, part.url
        ));
        out.push_str("Accept: application/json\r\n");
        for (name, value) in &part.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &part.body {
            if !part.headers.iter().any(|(name, _)| *name == "Content-Type") {
                out.push_str("Content-Type: application/json\r\n");
            }
            out.push_str(&format!("\r\n{body}"));
        } else {
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    (format!("multipart/mixed; boundary={boundary}"), out.into())
}

/// The answers in a body, in order. *Shape*: as many as could be read whole; a body that was cut has fewer.
///
/// *Errors*: the content type is no multipart.
pub fn read(content_type: &str, body: &Bytes) -> Option<Vec<PartAnswer>> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let mut answers = Vec::new();
    let starts = find_all(body, delimiter.as_bytes());
    for pair in starts.windows(2) {
        let (from, to) = (pair[0] + delimiter.len(), pair[1]);
        match part(body, from, to) {
            Some(answer) => answers.push(answer),
            // Answers are told apart by their order alone: after one that cannot be read, none can be placed.
            None => break,
        }
    }
    Some(answers)
}

fn boundary(content_type: &str) -> Option<&str> {
    if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/mixed") {
        return None;
    }
    let (_, after) = content_type.split_once("boundary=")?;
    let boundary = match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => after.split(';').next()?.trim(),
    };
    (!boundary.is_empty()).then_some(boundary)
}

/// Where the delimiter stands at the start of a line.
fn find_all(body: &[u8], delimiter: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + delimiter.len() <= body.len() {
        let line_start = at == 0 || body[at - 1] == b'\n';
        if line_start && body[at..].starts_with(delimiter) {
            found.push(at);
            at += delimiter.len();
        } else {
            at += match body[at..].iter().position(|&b| b == b'\n') {
                Some(newline) => newline + 1,
                None => break,
            };
        }
    }
    found
}

fn part(body: &Bytes, from: usize, to: usize) -> Option<PartAnswer> {
    let (_, at) = head(body, from, to)?;
    let (lines, at) = head(body, at, to)?;
    let status = lines.first()?.strip_prefix("HTTP/")?.split_whitespace().nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    // The line end before the next delimiter belongs to the delimiter.
    let mut end = to;
    for byte in [b'\n', b'\r'] {
        if end > at && body[end - 1] == byte {
            end -= 1;
        }
    }
    Some(PartAnswer { status, headers, body: body.slice(at..end) })
}

/// The lines up to the next empty one, and where what follows starts.
fn head(body: &[u8], from: usize, to: usize) -> Option<(Vec<&str>, usize)> {
    let mut lines = Vec::new();
    let mut at = from;
    loop {
        let end = at + body[at..to].iter().position(|&b| b == b'\n')?;
        let line = std::str::from_utf8(&body[at..end]).ok()?.trim_end_matches('\r');
        at = end + 1;
        match (line.is_empty(), lines.is_empty()) {
            (true, false) => return Some((lines, at)),
            // The rest of the delimiter's own line; and a part with nothing before its empty line.
            (true, true) => {}
            (false, _) => lines.push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/mixed; boundary=batchresponse_1";
    const ANSWER: &str = "--batchresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nOData-EntityId: http://x/accounts(1)\r\n\r\n\r\n\
        --batchresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{\"error\":{\"code\":\"0x1\",\"message\":\"a\\r\\nb\"}}\r\n\
        --batchresponse_1--\r\n";

    #[test]
    fn a_batch_is_written_as_the_documentation_shows() {
        let parts = [
            Part { method: "GET", url: "accounts?$top=1".into(), headers: vec![], body: None },
            Part {
                method: "PATCH",
                url: "accounts(1)".into(),
                headers: vec![("If-Match", "*".into())],
                body: Some("{}".into()),
            },
            Part {
                method: "POST",
                url: "accounts".into(),
                headers: vec![("Content-Type", "application/json;IEEE754Compatible=true".into())],
                body: Some("{}".into()),
            },
        ];
        let (content_type, body) = write(&parts, "b1", "/api/data/v9.2/");
        assert_eq!(content_type, "multipart/mixed; boundary=b1");
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            "--b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             GET /api/data/v9.2/accounts?$top=1 HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n\
             --b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             PATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\nAccept: application/json\r\nIf-Match: *\r\n\
             Content-Type: application/json\r\n\r\n{}\r\n\
             --b1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             POST /api/data/v9.2/accounts HTTP/1.1\r\nAccept: application/json\r\n\
             Content-Type: application/json;IEEE754Compatible=true\r\n\r\n{}\r\n--b1--\r\n"
        );
    }

    #[test]
    fn answers_are_read_in_order() {
        let answers = read(TYPE, &Bytes::from_static(ANSWER.as_bytes())).unwrap();
        let told: Vec<_> = answers.iter().map(|a| (a.status, std::str::from_utf8(&a.body).unwrap())).collect();
        assert_eq!(told, [(204, ""), (400, "{\"error\":{\"code\":\"0x1\",\"message\":\"a\\r\\nb\"}}")]);
        assert_eq!(answers[0].header("odata-entityid"), Some("http://x/accounts(1)"));
        let quoted = read("Multipart/Mixed;boundary=\"batchresponse_1\"", &Bytes::from_static(ANSWER.as_bytes()));
        assert_eq!(quoted.unwrap().len(), 2);
    }

    #[test]
    fn an_answer_that_was_cut_anywhere_gives_only_whole_parts() {
        for cut in 0..ANSWER.len() {
            let body = Bytes::copy_from_slice(&ANSWER.as_bytes()[..cut]);
            let whole = read(TYPE, &body).unwrap();
            let all = read(TYPE, &Bytes::from_static(ANSWER.as_bytes())).unwrap();
            assert!(whole.len() <= 2 && whole[..] == all[..whole.len()], "cut at {cut}: {whole:?}");
        }
    }

    #[test]
    fn what_is_no_multipart_is_no_answer() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(read("application/json", &body), None);
        assert_eq!(read("multipart/mixed", &body), None);
        assert_eq!(read("multipart/mixed; boundary=", &body), None);
    }
}
