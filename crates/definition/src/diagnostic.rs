//! A problem in a definition: where it is, what is wrong, and what to write instead.

use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use record::Code;
use serde_json::{Value, json};

use crate::files::{Files, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The project does not run.
    Error,
    /// It runs, and somebody should look.
    Warning,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A place in a file. *Units*: line and column count from 1, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
    pub span: Span,
}

/// Another place that belongs to the problem, with what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secondary {
    pub span: Span,
    pub label: String,
}

/// One problem. *Shape*: `span` is missing only where there is no file to point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// One line, without a full stop: what is wrong.
    pub title: String,
    pub span: Option<Span>,
    /// Under the arrow; may be empty.
    pub label: String,
    /// `allowed: …`, and why.
    pub notes: Vec<String>,
    /// What to do: the exact text where we know it.
    pub help: Option<String>,
    pub secondary: Vec<Secondary>,
}

impl Diagnostic {
    pub fn error(code: Code, title: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            title: title.into(),
            span: None,
            label: String::new(),
            notes: Vec::new(),
            help: None,
            secondary: Vec::new(),
        }
    }

    pub fn warning(code: Code, title: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, title) }
    }

    pub fn at(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.span = Some(span);
        self.label = label.into();
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    pub fn maybe_help(mut self, help: Option<String>) -> Diagnostic {
        self.help = help.or(self.help);
        self
    }

    /// For where the better help may be missing.
    pub fn or_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help.get_or_insert_with(|| help.into());
        self
    }

    pub fn also(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.secondary.push(Secondary { span, label: label.into() });
        self
    }

    /// Path, line and column, where it has a place.
    pub fn place(&self, files: &Files) -> Option<Place> {
        self.span.and_then(|span| files.place(span))
    }

    /// Drawn as the compiler draws its own: title, place, the line with an arrow, notes, help.
    ///
    /// *Units*: `width` in columns of the terminal; long lines are cut around the arrow.
    pub fn render(&self, files: &Files, colour: bool, width: usize) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut report = level
            .primary_title(self.title.as_str())
            .id(self.code.0)
            .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
        let mut spans: Vec<(Span, AnnotationKind, &str)> =
            self.span.iter().map(|span| (*span, AnnotationKind::Primary, self.label.as_str())).collect();
        spans.extend(self.secondary.iter().map(|s| (s.span, AnnotationKind::Context, s.label.as_str())));
        // One snippet for each file, the one with the arrow first.
        let mut order: Vec<_> = spans.iter().map(|(span, ..)| span.file).collect();
        let mut seen = std::collections::BTreeSet::new();
        order.retain(|id| seen.insert(*id));
        for id in order {
            let Some(file) = files.get(id) else { continue };
            let mut snippet = Snippet::source(&*file.text).path(&*file.path);
            for (span, kind, label) in spans.iter().filter(|(span, ..)| span.file == id) {
                let range = printable(&file.text, *span);
                let annotation = kind.span(range);
                snippet = snippet.annotation(if label.is_empty() { annotation } else { annotation.label(*label) });
            }
            report = report.element(snippet);
        }
        for note in &self.notes {
            report = report.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            report = report.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let text = renderer.term_width(width.max(40)).render(&[report]);
        let mut lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        lines.join("\n")
    }

    /// The same as one JSON object, for editors and pipelines.
    pub fn to_json(&self, files: &Files) -> Value {
        let place = |span: Span| match files.place(span) {
            Some(place) => json!({
                "file": &*place.file, "line": place.line, "column": place.column,
                "start": span.start, "end": span.end,
            }),
            None => Value::Null,
        };
        json!({
            "code": self.code.0,
            "severity": self.severity.word(),
            "title": self.title,
            "place": self.span.map_or(Value::Null, place),
            "label": self.label,
            "notes": self.notes,
            "help": self.help,
            "secondary": self.secondary.iter()
                .map(|s| json!({ "place": place(s.span), "label": s.label })).collect::<Vec<_>>(),
        })
    }
}

/// A range that can be drawn: within the text, on character borders, and on one line where it spans several.
fn printable(text: &str, span: Span) -> std::ops::Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start as usize);
    let end = floor((span.end as usize).max(start));
    let piece = &text[start..end];
    let first_line = piece.find(['\n', '\r']).map_or(end, |at| start + at);
    start..first_line
}

/// In the order in which people read: errors before warnings, then by file and place.
pub(crate) fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|d| (d.severity, d.span.is_some(), d.span));
    diagnostics.dedup_by(|a, b| a.span.is_some() && a.span == b.span && a.code == b.code && a.title == b.title);
}
