//! What people are told: one alert, its end, or a question.

use jiff::Timestamp;

/// One message to people. *Shape*: sentences in the user's nouns; no secrets, and personal values only masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The same for all notices of one matter, so that a later one finds the earlier one.
    pub about: String,
    pub kind: NoticeKind,
    pub severity: Severity,
    /// One line: `customers is late`.
    pub title: String,
    /// What it is, and what it means.
    pub text: String,
    /// Labels with values, in the order in which they are read.
    pub facts: Vec<(String, String)>,
    /// The next command.
    pub command: Option<String>,
    /// Where there is more.
    pub link: Option<String>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    Opened,
    /// It is over.
    Resolved,
    /// Sent on purpose, to see that it arrives.
    Test,
    /// News: what a flow has to say to people, or what the week brought.
    Message,
    /// A question that somebody is asked; the link leads to where it is answered.
    Question,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Warning,
    Critical,
}

impl Severity {
    /// The word of a definition file.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl Notice {
    /// The title as a subject line: what kind of notice it is stands before it, but before what a flow says.
    pub fn subject(&self) -> String {
        let before = match (self.kind, self.severity) {
            (NoticeKind::Message | NoticeKind::Question, _) => return self.title.clone(),
            (NoticeKind::Resolved, _) => "over",
            (NoticeKind::Test, _) => "test",
            (NoticeKind::Opened, severity) => severity.word(),
        };
        format!("[{before}] {}", self.title)
    }

    /// The text, where the title does not say it already.
    pub fn body(&self) -> Option<&str> {
        let text = self.text.trim();
        (!text.is_empty() && !self.title.ends_with(text)).then_some(text)
    }

    /// What is written on the link.
    pub fn link_says(&self) -> &'static str {
        match self.kind {
            NoticeKind::Question => "Answer",
            NoticeKind::Opened => "What to do",
            NoticeKind::Resolved | NoticeKind::Test | NoticeKind::Message => "See it in the console",
        }
    }
}
