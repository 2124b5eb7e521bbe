//! What is asked, and what was answered.

use std::sync::Arc;

use crate::decode::Decoder;
use crate::decoded::Group;
use crate::files::Files;
use crate::load::Loaded;
use crate::rules::Names;
use crate::tables::decision::ANSWERS;
use crate::yaml;

/// Words of an answer, as files and flags write them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            pub fn of(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}
pub(super) use words;

words! {
    /// What it is about.
    About {
        Records "records",
        /// Orders, invoices, cases: each of them once, and in order.
        Documents "documents",
        Stock "stock",
        CreditStatus "credit_status",
        /// May this card be charged?
        Payment "payment",
        /// Is this address, number, tax code right?
        Check "check",
        Figures "figures",
        Files "files",
        /// Somebody is to be told.
        Messages "messages",
    }
}

words! {
    /// Where it is, or should be.
    Place {
        Dynamics "dynamics",
        FinanceAndOperations "finance_and_operations",
        Microsoft365 "microsoft_365",
        SharepointOrExcel "sharepoint_or_excel",
        /// A database that Microsoft's cloud reaches by itself.
        SqlInTheCloud "sql_in_the_cloud",
        Sql "sql",
        Api "api",
        Files "files",
        Nowhere "nowhere",
    }
}

words! {
    /// What goes wrong if it is half an hour late.
    Late {
        Nothing "nothing",
        Annoying "annoying",
        Costly "costly",
        /// Somebody waits in front of a screen.
        Stops "stops",
    }
}

words! {
    /// Who looks at it.
    Looks {
        Nobody "nobody",
        AFew "a_few",
        Many "many",
        AProgram "a_program",
    }
}

words! {
    /// Whether somebody decides about each of them.
    Decides {
        Nobody "nobody",
        APerson "a_person",
        Several "several",
    }
}

words! {
    /// Whether Dynamics keeps it.
    Stored {
        Stored "stored",
        Seen "seen",
        Neither "neither",
    }
}

/// Every answer, those that were left out by their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    pub wish: String,
    pub about: About,
    pub from_is: Place,
    pub to_is: Place,
    pub late: Late,
    pub looks: Looks,
    /// Changes, documents or questions in a day.
    pub a_day: u64,
    pub in_three_years: u64,
    pub may_be_lost: bool,
    pub decides: Decides,
    pub stored: Stored,
    /// Dynamics searches, charts, audits or starts something with it.
    pub worked_with: bool,
    pub both_ways: bool,
    /// In minutes a month; nothing where nobody could.
    pub by_hand: Option<u64>,
    /// What a day of work costs, in whole units of the currency.
    pub rate: u64,
    pub currency: String,
    /// Paid users of Dynamics 365: the daily allowance grows with them.
    pub licences: u64,
    pub from: Option<String>,
    pub to: Option<String>,
    pub entity: Option<String>,
}

impl Answers {
    /// From a group that was decoded by the table of answers.
    pub(crate) fn of(group: &Group) -> Answers {
        let text = |key: &str| group.text(key).map(str::to_owned);
        let word = |key: &str| group.text(key).unwrap_or_default();
        let a_day = group.whole("a_day").unwrap_or_default();
        Answers {
            wish: text("wish").unwrap_or_default(),
            about: About::of(word("about")).unwrap_or(About::Records),
            from_is: Place::of(word("from_is")).unwrap_or(Place::Sql),
            to_is: Place::of(word("to_is")).unwrap_or(Place::Dynamics),
            late: Late::of(word("late")).unwrap_or(Late::Annoying),
            looks: Looks::of(word("looks")).unwrap_or(Looks::Many),
            a_day,
            in_three_years: group.whole("in_three_years").unwrap_or(a_day),
            may_be_lost: group.yes_no("may_be_lost"),
            decides: Decides::of(word("decides")).unwrap_or(Decides::Nobody),
            stored: Stored::of(word("stored")).unwrap_or(Stored::Stored),
            worked_with: group.yes_no("worked_with"),
            both_ways: group.yes_no("both_ways"),
            by_hand: group.whole("by_hand"),
            rate: group.whole("rate").unwrap_or(600),
            currency: text("currency").unwrap_or_else(|| "EUR".to_owned()),
            licences: group.whole("licences").unwrap_or(20),
            from: text("from"),
            to: text("to"),
            entity: text("entity"),
        }
    }

    /// The most that is expected in a day.
    pub fn most(&self) -> u64 {
        self.a_day.max(self.in_three_years)
    }

    pub(super) fn between(&self, place: Place) -> bool {
        self.from_is == place || self.to_is == place
    }

    /// As a file has them: a key and a value a line, without what is a default anyway.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let quote = crate::decoded::quote;
        let mut lines = vec![
            ("wish", quote(&self.wish)),
            ("about", self.about.word().to_owned()),
            ("from_is", self.from_is.word().to_owned()),
            ("to_is", self.to_is.word().to_owned()),
            ("late", self.late.word().to_owned()),
            ("looks", self.looks.word().to_owned()),
            ("a_day", self.a_day.to_string()),
            ("in_three_years", self.in_three_years.to_string()),
            ("may_be_lost", self.may_be_lost.to_string()),
            ("decides", self.decides.word().to_owned()),
            ("stored", self.stored.word().to_owned()),
            ("worked_with", self.worked_with.to_string()),
            ("both_ways", self.both_ways.to_string()),
        ];
        lines.extend(self.by_hand.map(|minutes| ("by_hand", minutes.to_string())));
        lines.extend([
            ("rate", self.rate.to_string()),
            ("currency", quote(&self.currency)),
            ("licences", self.licences.to_string()),
        ]);
        let names = [("from", &self.from), ("to", &self.to), ("entity", &self.entity)];
        lines.extend(names.into_iter().filter_map(|(key, name)| Some((key, quote(name.as_deref()?)))));
        lines
    }
}

/// Reads answers as a file for `--answers` has them.
///
/// *Errors*: as diagnostics, all of them at once, with their places in the text.
pub fn read(path: &str, text: &str) -> Result<Answers, Box<Loaded>> {
    let mut files = Files::default();
    let id = files.add(path, text.to_owned());
    let mut diagnostics = Vec::new();
    let (nodes, _) = yaml::parse(id, text, &mut diagnostics);
    let group = {
        let mut decoder = Decoder::new(&files, &[]);
        let empty = yaml::Node {
            data: yaml::Data::Map(Vec::new()),
            span: crate::files::Span { file: id, start: 0, end: text.len().min(1) as u32 },
        };
        let group = decoder.document(nodes.first().unwrap_or(&empty), &ANSWERS);
        diagnostics.append(&mut decoder.diagnostics);
        group
    };
    if diagnostics.is_empty() {
        return Ok(Answers::of(&group));
    }
    crate::diagnostic::sort(&mut diagnostics);
    Err(Box::new(Loaded::refused(diagnostics, Arc::new(files), Names::default())))
}

/// One question, as it is put to a person.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    pub key: &'static str,
    pub ask: &'static str,
    /// Each word with what it means; empty where a number or a sentence is wanted.
    pub choices: &'static [(&'static str, &'static str)],
    /// What an empty line means; nothing where something has to be said.
    pub default: Option<&'static str>,
}

const YES_NO: &[(&str, &str)] = &[("true", "yes"), ("false", "no")];

/// In the order in which they are asked. What it is about and where it is come after what matters.
pub const QUESTIONS: &[Question] = &[
    Question { key: "wish", ask: "What should be there, for whom? One sentence.", choices: &[], default: None },
    Question {
        key: "late",
        ask: "What goes wrong if this is 30 minutes late?",
        choices: &[
            ("nothing", "nothing"),
            ("annoying", "somebody looks again later"),
            ("costly", "it costs money, or a customer"),
            ("stops", "somebody waits in front of a screen and cannot go on"),
        ],
        default: None,
    },
    Question {
        key: "looks",
        ask: "Who looks at it?",
        choices: &[
            ("nobody", "nobody that we know of"),
            ("a_few", "a few people, now and then"),
            ("many", "many people, all day"),
            ("a_program", "no person: a program goes on with it"),
        ],
        default: None,
    },
    Question { key: "a_day", ask: "How many are there in a day, now?", choices: &[], default: None },
    Question {
        key: "in_three_years",
        ask: "And how many a day in three years? (empty: as many)",
        choices: &[],
        default: Some(""),
    },
    Question {
        key: "may_be_lost",
        ask: "May one be lost without anybody missing it?",
        choices: YES_NO,
        default: Some("false"),
    },
    Question {
        key: "decides",
        ask: "Does anyone decide about each of them?",
        choices: &[("nobody", "nobody"), ("a_person", "one person"), ("several", "several people, or a chain of them")],
        default: Some("nobody"),
    },
    Question {
        key: "stored",
        ask: "Must it be stored in Dynamics, or only seen there?",
        choices: &[("stored", "stored"), ("seen", "only seen"), ("neither", "neither: it is for somewhere else")],
        default: None,
    },
    Question {
        key: "worked_with",
        ask: "Does Dynamics search, chart, audit or start anything with it?",
        choices: YES_NO,
        default: Some("false"),
    },
    Question {
        key: "about",
        ask: "What is it about?",
        choices: &[
            ("records", "customers, products, contacts, prices"),
            ("documents", "orders, invoices, cases"),
            ("stock", "how much is there"),
            ("credit_status", "may this customer buy on account"),
            ("payment", "may this card be charged"),
            ("check", "is this address, number or code right"),
            ("figures", "sums and charts"),
            ("files", "documents and pictures"),
            ("messages", "somebody is to be told"),
        ],
        default: Some("records"),
    },
    Question { key: "from_is", ask: "Where is it now?", choices: PLACES, default: Some("sql") },
    Question { key: "to_is", ask: "Where should it be?", choices: PLACES, default: Some("dynamics") },
    Question { key: "both_ways", ask: "Is it changed on both sides?", choices: YES_NO, default: Some("false") },
    Question {
        key: "by_hand",
        ask: "How many minutes a month does it take by hand? (empty: nobody could)",
        choices: &[],
        default: Some(""),
    },
    Question {
        key: "rate",
        ask: "What does a day of your people cost, and in which currency? Such as 650 GBP.",
        choices: &[],
        default: Some("600 EUR"),
    },
];

const PLACES: &[(&str, &str)] = &[
    ("dynamics", "Dynamics 365 (Dataverse)"),
    ("finance_and_operations", "Dynamics 365 Finance, or Supply Chain"),
    ("microsoft_365", "Outlook, Teams, Planner"),
    ("sharepoint_or_excel", "a SharePoint list or an Excel file"),
    ("sql_in_the_cloud", "a database that Microsoft's cloud reaches by itself"),
    ("sql", "a database in the house"),
    ("api", "a system with an API"),
    ("files", "files that somebody sends"),
    ("nowhere", "nowhere yet"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::decision;

    #[test]
    fn the_words_of_answers_are_those_of_their_table() {
        let words = |all: Vec<&'static str>, table: &[&'static str]| assert_eq!(all, table);
        words(About::ALL.iter().map(|one| one.word()).collect(), decision::ABOUT);
        words(Place::ALL.iter().map(|one| one.word()).collect(), decision::PLACES);
        words(Late::ALL.iter().map(|one| one.word()).collect(), decision::LATE);
        words(Looks::ALL.iter().map(|one| one.word()).collect(), decision::LOOKS);
        words(Decides::ALL.iter().map(|one| one.word()).collect(), decision::DECIDES);
        words(Stored::ALL.iter().map(|one| one.word()).collect(), decision::STORED);
        words(super::super::Outcome::ALL.iter().map(|one| one.word()).collect(), decision::OUTCOMES);
        for question in QUESTIONS {
            let field = ANSWERS.fields().find(|field| field.name == question.key).unwrap();
            assert_eq!(field.required, question.default.is_none(), "{}", question.key);
            for (word, _) in question.choices {
                let text = "wish: x y\nlate: nothing\nlooks: many\na_day: 1\nstored: seen\n";
                let text = text.lines().filter(|line| !line.starts_with(&format!("{}:", question.key)));
                let text: String = text.map(|line| format!("{line}\n")).collect();
                assert!(
                    read("a.yaml", &format!("{text}{}: {word}\n", question.key)).is_ok(),
                    "{} {word}",
                    question.key
                );
            }
        }
    }

    #[test]
    fn answers_are_written_as_they_are_read() {
        let given = "wish: \"Sales: see it\"\nlate: costly\nlooks: many\na_day: 50\nstored: stored\nby_hand: 20\nentity: order\n";
        let answers = read("a.yaml", given).unwrap();
        let written: String = answers.lines().iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        assert_eq!(read("b.yaml", &written).unwrap(), answers);
        let refused = read("a.yaml", "wish: x\nlate: soon\nlokos: many\na_day: 1\nstored: seen\n").unwrap_err();
        let text = refused.render(false, 100);
        assert!(text.contains("did you mean `looks`?") && text.contains("`soon`"), "{text}");
    }
}
