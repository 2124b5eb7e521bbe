//! Why not the others: one sentence for each way that was not recommended.

use super::answers::{About, Answers, Decides, Late, Looks, Place, Stored};
use super::outcome::Outcome;

/// *Shape*: one sentence.
pub(super) fn why_not(other: Outcome, chosen: Outcome, answers: &Answers) -> String {
    let text = match other {
        Outcome::Nothing => match (answers.by_hand, answers.late) {
            (Some(_), Late::Costly | Late::Stops) => "By hand it would be late, and late costs something here.",
            (Some(_), _) => "By hand it takes more time in a month than it would take to run something.",
            (None, _) => "Nobody could do it by hand, and somebody would miss it.",
        },
        Outcome::Report if answers.looks == Looks::AProgram => {
            "A program goes on with it, and programs read no reports."
        }
        Outcome::Report if answers.stored == Stored::Seen => {
            "People look at single rows while they work in Dynamics, and a report shows sums somewhere else."
        }
        Outcome::Report => "Something is done with single rows; a report only shows them.",
        Outcome::PlatformVirtual | Outcome::Virtual if answers.stored == Stored::Stored => {
            "It must be stored: a virtual table keeps nothing, and has no search, charts, audit or events."
        }
        Outcome::PlatformVirtual | Outcome::Virtual if answers.to_is != Place::Dynamics => {
            "It is wanted outside of Dynamics, and virtual tables are only seen inside."
        }
        Outcome::PlatformVirtual | Outcome::Virtual if answers.worked_with => {
            "Dynamics works with it, and a virtual table has no search, charts, audit or events."
        }
        Outcome::PlatformVirtual if answers.between(Place::FinanceAndOperations) => {
            "It is more than looked at: the virtual tables of Finance show, and keep nothing."
        }
        Outcome::PlatformVirtual if matches!(answers.from_is, Place::SharepointOrExcel | Place::SqlInTheCloud) => {
            "The provider would reach it, but a connection is slowed down when so many people ask at once."
        }
        Outcome::PlatformVirtual => {
            "The platform's own provider does not reach this source without a gateway or a custom connector."
        }
        Outcome::Virtual if answers.from_is == Place::Files => "Files answer no questions.",
        Outcome::Virtual if chosen.is_no_integration() => {
            "It would be one more thing that has to answer while people look, for something that nobody works with row by row."
        }
        Outcome::Virtual => "The platform shows it by itself, with nothing of ours to operate.",
        Outcome::PowerAutomate if answers.decides != Decides::Nobody && chosen == Outcome::Flow => {
            "It would do the asking; the write into a system outside, its repetition and its proof would be yours to build."
        }
        Outcome::PowerAutomate if answers.most() > 500 => {
            "Each action of each run counts against its owner's daily allowance, and failed runs are started again by hand."
        }
        Outcome::PowerAutomate => {
            "A flow that copies rows one at a time has no memory of what it wrote, and repeats failed runs only by hand."
        }
        Outcome::DualWrite if !answers.between(Place::FinanceAndOperations) => {
            "It connects Finance and Operations with Dataverse, and nothing else."
        }
        Outcome::DualWrite if answers.most() > 20_000 => {
            "It writes within the transaction of whoever saves: at this volume everybody would wait."
        }
        Outcome::DualWrite => "It keeps a copy on both sides in the same moment, which is more than is needed.",
        Outcome::Batch if chosen == Outcome::Event && answers.decides != Decides::Nobody => {
            "The rule would be applied to a state some minutes old, when people have gone on."
        }
        Outcome::Batch if chosen == Outcome::Event => "It would be minutes late, and that costs something here.",
        Outcome::Batch if matches!(chosen, Outcome::Virtual | Outcome::PlatformVirtual) => {
            "A copy is stale from the moment it is made, and has to be kept right."
        }
        Outcome::Batch if chosen == Outcome::Flow => "A schedule asks nobody.",
        Outcome::Batch if chosen == Outcome::PlugIn => "Somebody waits for the answer, and a schedule gives none.",
        Outcome::Batch if chosen == Outcome::DualWrite => "The platform does it by itself, and sooner.",
        Outcome::Batch => "It would be built and operated for something that needs no copy.",
        Outcome::Flow if answers.decides == Decides::Nobody => {
            "Nobody decides anything: a flow without a person in it is a slow integration."
        }
        Outcome::Flow if answers.most() > 500 => "Above 500 a day nobody decides one by one; new starts would be held.",
        Outcome::Flow => "Everybody who decides works inside the platform, whose approvals are enough.",
        Outcome::Event if chosen == Outcome::PlugIn => {
            "It takes seconds and answers later; here somebody waits. It carries what follows."
        }
        Outcome::Event if chosen == Outcome::Flow => "It delivers, and asks nobody.",
        Outcome::Event if matches!(answers.late, Late::Nothing | Late::Annoying) => {
            "A webhook, a queue, an order and dead letters for something that may be half an hour late."
        }
        Outcome::Event
            if matches!(
                answers.from_is,
                Place::Sql | Place::SqlInTheCloud | Place::Files | Place::SharepointOrExcel
            ) =>
        {
            "This source tells nobody when something changes."
        }
        Outcome::Event => "Each of them would cost requests and parts, and the newest state is all that is looked at.",
        Outcome::PlugIn if answers.late == Late::Stops && answers.about != About::Payment => {
            "It would make everybody who saves wait for the other system, and fail with it."
        }
        Outcome::PlugIn => {
            "Nobody waits in front of a screen for it; code within saving makes saving slow and fragile."
        }
    };
    text.to_owned()
}
