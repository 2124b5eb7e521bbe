//! What the journal is told of a message.

use record::{Fault, Key};
use store::Op;
use store::dead_letters::DeadLetterId;
use store::journal::{self, Note, What};
use store::queue::{Delivery, Problem};

use super::deliver::Done;

/// The delivery that a note is about.
pub(crate) struct About<'a> {
    pub integration: &'a str,
    pub to: &'a str,
    pub entity: &'a str,
    pub delivery: &'a Delivery,
}

impl About<'_> {
    /// A message came to its end. Nothing where nobody knows which record it was about.
    pub fn done(&self, done: &Done) -> Option<Op> {
        let what = match done.what {
            "created" => What::Created,
            "updated" => What::Updated,
            "deleted" => What::Deleted,
            "unchanged" => What::Unchanged,
            _ => What::LeftOut,
        };
        let mut notes = vec![self.note(done.key.as_ref()?, what, String::new())];
        if what == What::LeftOut {
            done.what.clone_into(&mut notes[0].detail);
        }
        if let (Some(was), Some(is)) = (&done.was, &done.key) {
            notes[0].detail = format!("it was {was} before");
            notes.push(self.note(was, what, format!("it is {is} now")));
        }
        if let Some(home) = &done.home {
            let at_home = self.note(done.key.as_ref()?, What::WrittenBack, home.told.clone());
            notes.push(Note { system: home.system.clone(), ..at_home });
        }
        Some(journal::Op::Note(notes).into())
    }

    /// It did not, and will be tried again.
    pub fn failed(&self, key: Option<&Key>, what: What, fault: &Fault, then: &str) -> Option<Op> {
        let note = self.note(key?, what, format!("{fault}; {then}"));
        let request = fault.why.as_ref().and_then(|why| why.request_id.clone());
        Some(journal::Op::Note(vec![Note { request, ..note }]).into())
    }

    /// It was given up on, in its own dead letter or in that of the row.
    pub fn dead(&self, key: Option<&Key>, of: Option<&DeadLetterId>, problem: &Problem) -> Option<Op> {
        let why = if problem.why.is_empty() { String::new() } else { format!(": {}", problem.why) };
        let note = self.note(key?, What::DeadLetter, format!("{} {}{why}", problem.code, problem.what));
        let letter = of.cloned().unwrap_or_else(|| DeadLetterId::of_seq(self.delivery.seq));
        Some(journal::Op::Note(vec![Note { dead_letter: Some(letter), ..note }]).into())
    }

    fn note(&self, key: &Key, what: What, detail: String) -> Note {
        let message = &self.delivery.message;
        Note {
            message: Some(self.delivery.seq),
            came: Some(self.delivery.enqueued),
            attempt: self.delivery.deliveries + 1,
            session: message.session.clone(),
            correlation: message.correlation.clone(),
            dead_letter: message.causation.as_deref().map(DeadLetterId::from),
            detail,
            ..Note::new(self.entity, &key.to_string(), what, self.integration, self.to)
        }
    }
}
