//! A step of a flow that would call a system by its address, instead of through a mapping.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Key, Node};

/// A step that would call a system by its address: `http: …`, `request: POST https://…`.
pub(super) fn calls(key: &str, node: &Node) -> bool {
    const CALLS: &[&str] =
        &["http", "https", "url", "uri", "request", "call", "webhook", "rest", "get", "post", "put", "patch"];
    let is_address = |text: &str| text.contains("http://") || text.contains("https://");
    CALLS.contains(&key.to_ascii_lowercase().as_str()) || node.scalar().is_some_and(|scalar| is_address(&scalar.text))
}

pub(super) fn refused(key: &Key, kinds: &str) -> Diagnostic {
    Diagnostic::error(codes::BY_ADDRESS, "a flow calls a system by its address")
        .at(key.span, "past its mapping")
        .note("a call past the mapping has no key, no retry that is safe, and no place in `impact` and `trace`")
        .note(format!("the steps are: {kinds}"))
        .help("give the system a file in systems/ with a mapping, and use a step `write: { entity: …, to: …, key: …, set: … }`")
}
