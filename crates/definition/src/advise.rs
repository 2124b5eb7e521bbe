//! Which way of moving data solves a problem with the least: a few plain answers in, a recommendation with its reasons and
//! costs out.
//!
//! Everything here is a pure function of the answers: no clock, no files, no network. The numbers of Dataverse are
//! documented beside [`cost`]; days of work are our own estimates, told as such.

mod answers;
mod cost;
mod decision;
mod outcome;
mod recommend;
mod review;
mod scaffold;
mod told;
mod why_not;

pub use answers::{About, Answers, Decides, Late, Looks, Place, QUESTIONS, Question, Stored, read};
pub use cost::{Cost, cost};
pub use decision::Decision;
pub use outcome::Outcome;
pub use recommend::{Advice, recommend};
pub use review::{Finding, review};
pub use scaffold::{Drafts, added, scaffold};
pub use told::{json, text};
