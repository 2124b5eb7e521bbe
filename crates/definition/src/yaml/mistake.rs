//! What is wrong where the YAML itself is.

use granit_parser::ErrorKind;

use super::DEPTH_MAX;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::{FileId, Span};

/// The parser's own words are for people who write parsers; ours say what to do.
pub(super) fn not_yaml(file: FileId, text: &str, kind: &ErrorKind, at: usize, own_words: &str) -> Diagnostic {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    let line = &text[line_start..line_end];
    let here = Span {
        file,
        start: at as u32,
        end: text[at..].chars().next().filter(|c| *c != '\n').map_or(at, |c| at + c.len_utf8()) as u32,
    };
    // The parser may notice a tab only on the next line.
    let above = text[..line_start].trim_end_matches(['\n', '\r']);
    let above_start = above.rfind('\n').map_or(0, |newline| newline + 1);
    for (start, line) in [(line_start, line), (above_start, &above[above_start..])] {
        if let Some(tab) = line.find('\t').filter(|tab| line[..*tab].trim().is_empty()) {
            let tab = (start + tab) as u32;
            return indented_by_tab(Span { file, start: tab, end: tab + 1 });
        }
    }
    if own_words.contains("found a tab") {
        // The reader stands where the text before it began.
        let mut start = line_start;
        for line in text[line_start..].split_inclusive('\n') {
            if let Some(tab) = line.find('\t').filter(|tab| line[..*tab].trim().is_empty()) {
                let tab = (start + tab) as u32;
                return indented_by_tab(Span { file, start: tab, end: tab + 1 });
            }
            start += line.len();
        }
    }
    if let Some((odd, what)) = from_a_word_processor(line) {
        let start = (line_start + odd) as u32;
        let span = Span { file, start, end: start + what.0.len_utf8() as u32 };
        return Diagnostic::error(codes::NOT_YAML, format!("{} where YAML knows {}", what.1, what.2))
            .at(span, "it looks like the other one")
            .help(format!("type {} over it, in a plain editor", what.2));
    }
    let before = text[..at].lines().last().unwrap_or("");
    let formula = [line, before]
        .iter()
        .any(|l| l.contains(": =") && l.contains(['{', '[']) && !l.contains("'=") && !l.contains("\"="));
    let (title, help) = match kind {
        ErrorKind::RecursionLimitExceeded => {
            return Diagnostic::error(codes::TOO_LARGE, format!("more than {DEPTH_MAX} levels of lists and groups"))
                .at(here, "the limit is reached here")
                .help("nothing in a definition is that deep: look for an unclosed `{` or `[`");
        }
        _ if formula => (
            "this line is not YAML: it reads the comma or brace of a formula as its own",
            "put the whole formula in single quotes, for example '=Row(\"team\", {name: \"Sales\"})'",
        ),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofImplicitFlowMapping => ("a `{` or `[` is not closed", "close it with `}` or `]`"),
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            ("this bracket closes nothing", "pair each `{` with `}` and each `[` with `]`")
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            "a comma or a closing bracket is missing",
            "write `,` between entries; put a value with `{`, `}`, `[`, `]` or `,` in quotes",
        ),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::UnexpectedEof => {
            ("a quote is not closed", "close the text with the quote that opened it")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidMappingValueWhitespace => {
            ("a second `:` on this line", "put a value that holds `: ` in quotes, and each key on its own line")
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            ("text follows a closed quote", "put the whole value in one pair of quotes, the other kind inside")
        }
        ErrorKind::UnknownQuotedScalarEscape => (
            "this `\\` starts no escape that YAML knows",
            "write `\\\\`, or use single quotes, in which `\\` is itself",
        ),
        ErrorKind::UnknownAnchor => (
            "an alias (`*name`) without its anchor (`&name`)",
            "define the anchor above, or put a text that starts with `*` in quotes",
        ),
        ErrorKind::UnexpectedCharacter { .. } | ErrorKind::PlainScalarStartsWithDashFlowIndicator => {
            ("a value cannot start with this character", "put the value in quotes")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed => (
            "this line does not fit the lines around it",
            "give keys of one group the same indentation, and write `key: value` with a space after the colon",
        ),
        _ => ("this is not YAML", "compare the line with the examples of `ironbridge explain IB0105`"),
    };
    let reason = own_words.rsplit_once(" at ").map_or(own_words, |(reason, _)| reason);
    Diagnostic::error(codes::NOT_YAML, title).at(here, "here the reader stopped").note(reason).help(help)
}

/// The first character of a line that programs for letters and chats put in the place of another one: where it is, which it
/// is, what it is called, and what it stands for.
fn from_a_word_processor(line: &str) -> Option<(usize, (char, &'static str, &'static str))> {
    line.char_indices().find_map(|(at, c)| {
        let (name, meant) = match c {
            '\u{201c}' | '\u{201d}' | '\u{201e}' => ("a typographic quote", "`\"`"),
            '\u{2018}' | '\u{2019}' => ("a typographic quote", "`'`"),
            '\u{a0}' => ("a no-break space", "a space"),
            _ => return None,
        };
        // Within a text it is a character like any other.
        let before = line[..at].trim_end();
        let begins = before.is_empty() || before.ends_with([':', ',', '{', '[', '-']);
        begins.then_some((at, (c, name, meant)))
    })
}

pub(super) fn indented_by_tab(span: Span) -> Diagnostic {
    Diagnostic::error(codes::NOT_YAML, "a tab indents this line")
        .at(span, "a tab")
        .help("indent with spaces: YAML allows no tabs there")
}
