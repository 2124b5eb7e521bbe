//! The recommendation: the first way, from the simplest on, that the answers do not rule out.

use super::answers::{About, Answers, Decides, Late, Looks, Place, Stored};
use super::outcome::Outcome;
use super::why_not::why_not;

/// Above so many a day nobody decides one by one: the ceiling of a flow that says none.
const DECISIONS_MAX: u64 = 500;
/// So many messages a day are a list, and nobody reads them one by one.
const MESSAGES_MAX: u64 = 500;
/// So many runs of a cloud flow a day stay well within the allowance of its owner.
const CLOUD_FLOW_MAX: u64 = 500;
/// Above so many a day single events cost more than the minutes that they save.
const EVENTS_MAX: u64 = 200_000;
/// Above so many a day a table that is written within the user's own transaction slows people down.
const DUAL_WRITE_MAX: u64 = 20_000;
/// What is done by hand in so many minutes a month costs less than the least that could be built: two days of building
/// over three years, and a day a year to run it.
const BY_HAND_MAX: u64 = 60;

/// What to do, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    pub outcome: Outcome,
    /// One of the synchronous cases, whose answer is always the same.
    pub fixed: bool,
    /// *Shape*: at least one sentence.
    pub why: Vec<String>,
    /// How to set it up, in sentences; may be empty.
    pub how: Vec<String>,
    /// Of a batch: how often.
    pub schedule: Option<&'static str>,
    /// Every other way with the reason against it, the simplest first.
    pub others: Vec<(Outcome, String)>,
}

/// Pure: the same answers give the same advice.
pub fn recommend(answers: &Answers) -> Advice {
    let mut advice = fixed(answers)
        .or_else(|| nothing(answers))
        .or_else(|| platform(answers))
        .or_else(|| decided(answers))
        .or_else(|| seen(answers))
        .unwrap_or_else(|| moved(answers));
    advice.others = Outcome::ALL
        .iter()
        .filter(|other| **other != advice.outcome)
        .map(|other| (*other, why_not(*other, advice.outcome, answers)))
        .collect();
    advice
}

fn advice(outcome: Outcome, why: &[&str]) -> Advice {
    Advice {
        outcome,
        fixed: false,
        why: why.iter().map(|sentence| (*sentence).to_owned()).collect(),
        how: Vec::new(),
        schedule: None,
        others: Vec::new(),
    }
}

impl Advice {
    fn how(mut self, sentences: &[&str]) -> Advice {
        self.how.extend(sentences.iter().map(|sentence| (*sentence).to_owned()));
        self
    }

    fn fixed(mut self) -> Advice {
        self.fixed = true;
        self
    }

    fn every(mut self, schedule: &'static str) -> Advice {
        self.schedule = Some(schedule);
        self
    }
}

/// The truly synchronous cases.
fn fixed(answers: &Answers) -> Option<Advice> {
    let waits = answers.late == Late::Stops;
    match answers.about {
        About::Payment if waits => Some(
            advice(
                Outcome::PlugIn,
                &[
                    "The customer is in front of you and must hear yes or no: no queue and no schedule can answer.",
                    "Dataverse can ask while the user waits; it gives a plug-in two minutes, and two seconds are a good limit.",
                ],
            )
            .how(&[
                "Send a key with each authorisation, so that asking twice charges once.",
                "Write down that it was authorised, and let an event integration carry the rest: the order, the invoice, the books.",
                "Say what people do when the provider is down: take the order unpaid, or not at all.",
            ])
            .fixed(),
        ),
        About::Check if waits => Some(
            advice(
                Outcome::PlugIn,
                &[
                    "The form must not be saved before the answer is there, so the answer is part of saving.",
                    "A copy of what the provider knows would be out of date the day after it was made.",
                ],
            )
            .how(&["Let people save with a mark `not checked` when the provider is down, and check those again later."])
            .fixed(),
        ),
        About::Stock | About::CreditStatus if answers.late != Late::Nothing && answers.from_is != Place::Files => {
            let what = if answers.about == About::Stock {
                "A stock level is right at one place only, where goods come and go; every copy of it sells what is gone."
            } else {
                "Whether a customer may buy on account is decided by what is open in the ledger now, not by last night's copy."
            };
            let reads = "Nobody changes it in Dynamics, people only look: a virtual table shows it live, and there is nothing to keep right.";
            Some(
                advice(Outcome::Virtual, &[what, reads])
                    .how(&[
                        "Let the source answer by key within a second; a cache of a few seconds takes the load of many people off it.",
                        "Reserving stock is another thing: that is an order, and goes as an event.",
                    ])
                    .fixed(),
            )
        }
        _ => None,
    }
}

/// What needs no integration.
fn nothing(answers: &Answers) -> Option<Advice> {
    if answers.from_is == Place::Nowhere {
        return Some(
            advice(
                Outcome::Nothing,
                &["Nobody has it yet, so there is nothing to move: what is missing is a place where it is entered."],
            )
            .how(&["Make a table and a form for it in Dynamics, and ask again when a second system needs it."]),
        );
    }
    if answers.to_is == Place::Dynamics && answers.from_is != Place::Dynamics && answers.stored == Stored::Neither {
        return Some(advice(
            Outcome::Nothing,
            &[
                "Dynamics neither keeps it nor shows it, so it has no business there: what nobody looks at is only looked after.",
            ],
        ));
    }
    let touches = |place| answers.between(place);
    if !touches(Place::Dynamics) && !touches(Place::FinanceAndOperations) {
        return Some(
            advice(
                Outcome::Nothing,
                &["Neither side is Dynamics: these two can agree without a hub for Dynamics between them."],
            )
            .how(&["Ask for an export of the one and an import of the other before anything is built."]),
        );
    }
    if answers.about == About::Figures && answers.looks != Looks::AProgram && answers.decides == Decides::Nobody {
        return Some(
            advice(
                Outcome::Report,
                &[
                    "People look at sums and charts, and nobody does anything with a single row.",
                    "A report reads each side where it is: no copy, no rows to keep right, no requests against Dataverse all day.",
                ],
            )
            .how(&["Put the report into a dashboard of Dynamics if people should see it there."]),
        );
    }
    if answers.looks == Looks::Nobody && answers.late == Late::Nothing {
        return Some(advice(
            Outcome::Nothing,
            &["Nobody looks at it, and nothing goes wrong when it is late: it would be kept right for nobody."],
        ));
    }
    if answers.about == About::Messages && answers.most() > MESSAGES_MAX && answers.looks != Looks::AProgram {
        return Some(advice(
            Outcome::Report,
            &["So many messages a day are read by nobody: a list that is looked at once a day says the same."],
        ));
    }
    if let Some(minutes) = answers.by_hand.filter(|minutes| *minutes <= BY_HAND_MAX)
        && matches!(answers.late, Late::Nothing | Late::Annoying)
        && answers.looks != Looks::AProgram
    {
        let takes = format!(
            "By hand it takes {minutes} minutes a month: less than the least that could be built would cost to run."
        );
        let mut advice = advice(Outcome::Nothing, &[&takes]);
        advice.how.push("Write down how it is done, and who does it when that person is away.".to_owned());
        advice.how.push(format!("Ask again when it takes more than {BY_HAND_MAX} minutes a month."));
        return Some(advice);
    }
    None
}

/// What the platform does by itself.
fn platform(answers: &Answers) -> Option<Advice> {
    if answers.from_is == Place::Dynamics && answers.to_is == Place::Dynamics {
        let one_place = "Both ends are in Dynamics: nothing leaves it, so nothing has to be integrated.";
        if answers.late == Late::Stops {
            return Some(advice(
                Outcome::PlugIn,
                &[one_place, "It must be done before the user goes on, which is what plug-ins are for."],
            ));
        }
        return Some(
            advice(Outcome::PowerAutomate, &[one_place, "A cloud flow does it with what you pay for already."])
                .how(&["Look first whether a business rule or a calculated column is enough."]),
        );
    }
    if answers.between(Place::FinanceAndOperations) && answers.between(Place::Dynamics) {
        if answers.stored == Stored::Seen && !answers.worked_with {
            return Some(advice(
                Outcome::PlatformVirtual,
                &[
                    "Finance and Operations shows its entities in Dataverse as virtual tables of its own: no copy, and no third system.",
                    "It is only seen, so nothing has to be kept right on two sides.",
                ],
            ));
        }
        if answers.late != Late::Nothing && answers.most() <= DUAL_WRITE_MAX && answers.decides == Decides::Nobody {
            return Some(
                advice(
                    Outcome::DualWrite,
                    &[
                        "Both sides are Microsoft's, and their table maps exist: what they do by themselves is not built a second time.",
                        "It is stored on both sides and has to be there soon, at a volume that saving can carry.",
                    ],
                )
                .how(&[
                    "Switch on only the maps that you need; each one is a part to operate.",
                    "Plan the first synchronisation: large tables are loaded in parts, outside of working hours.",
                ]),
            );
        }
    }
    let within_365 = answers.between(Place::Microsoft365) && answers.between(Place::Dynamics);
    if within_365 && answers.most() <= CLOUD_FLOW_MAX && answers.late != Late::Stops {
        let mut found = advice(
            Outcome::PowerAutomate,
            &[
                "It goes between Dynamics and Microsoft 365, for which the platform has triggers, connections and approvals ready.",
                "At this volume a cloud flow stays far below what its owner may use in a day.",
            ],
        );
        if !answers.may_be_lost {
            found = found.how(&[
                "None may be lost: let the flow tell somebody when a run fails, and look at that list once a day.",
            ]);
        }
        return Some(found);
    }
    None
}

/// Where people decide.
fn decided(answers: &Answers) -> Option<Advice> {
    if answers.decides == Decides::Nobody {
        return None;
    }
    if answers.most() > DECISIONS_MAX {
        let many = format!(
            "Nobody decides {} a day one by one: what is decided like that is waved through.",
            crate::rules::number(answers.most())
        );
        return Some(
            advice(Outcome::Event, &[&many, "A rule decides the plain cases, and people see the exceptions."])
                .how(&["Write the rule as a formula in the trigger, and give the exceptions a flow of their own."]),
        );
    }
    let how: &[&str] = match answers.decides {
        Decides::Several => &["Name who decides, who does so in their place, and what it means when nobody answers."],
        _ => &["Name a deputy, and what it means when nobody answers in time."],
    };
    Some(
        advice(
            Outcome::Flow,
            &[
                "A person decides about each of them, and the answer has to reach a system outside of the platform.",
                "Questions, reminders, deadlines and the write behind the answer stand in one file, and survive a restart.",
            ],
        )
        .how(how),
    )
}

/// Where it is only looked at.
fn seen(answers: &Answers) -> Option<Advice> {
    if answers.stored != Stored::Seen || answers.to_is != Place::Dynamics {
        return None;
    }
    if answers.worked_with || answers.looks == Looks::AProgram {
        let why = "It is only seen, but Dynamics also works with it, and a virtual table has no search, charts, audit or events.";
        return Some(scheduled(answers, &[why]));
    }
    let live = "It is only seen: shown live there is no copy, nothing stale and nothing to keep right.";
    match answers.from_is {
        Place::Files => Some(scheduled(
            answers,
            &[
                "It is only seen, but files answer no questions: it is as fresh as the last file, so it is stored when a file comes.",
            ],
        )),
        Place::SharepointOrExcel if answers.looks == Looks::Many => Some(scheduled(
            answers,
            &["It is only seen, but by many, and a list or a workbook is no server: a copy spares it their questions."],
        )),
        Place::SharepointOrExcel | Place::SqlInTheCloud if answers.looks != Looks::Many => Some(advice(
            Outcome::PlatformVirtual,
            &[
                live,
                "The Virtual Connector Provider reaches this source by itself, and a few people stay below what a connection may do.",
            ],
        )),
        _ => Some(
            advice(
                Outcome::Virtual,
                &[live, "The platform's own provider does not reach this source, or not for so many people."],
            )
            .how(&["A cache of some seconds, where that is fresh enough, takes repeated questions off the source."]),
        ),
    }
}

/// What is stored: as an event where lateness costs and the source can tell, else as a batch.
fn moved(answers: &Answers) -> Advice {
    let tells = matches!(answers.from_is, Place::Dynamics | Place::Api | Place::FinanceAndOperations);
    let urgent = matches!(answers.late, Late::Costly | Late::Stops);
    if urgent && !answers.may_be_lost && tells && answers.most() <= EVENTS_MAX {
        let mut found = advice(
            Outcome::Event,
            &[
                "Half an hour late costs something, none may be lost, and the source can say when it happens.",
                "A queue keeps each of them until its effect is there, in order, however long the destination is away.",
            ],
        );
        if answers.late == Late::Stops {
            found =
                found.how(&["It takes seconds, not an instant: let people go on, and show the answer when it comes."]);
        }
        return found;
    }
    let why: Vec<&str> = match (urgent, tells) {
        (true, _) if answers.may_be_lost => {
            vec![
                "It is urgent, and yet one may be lost: then the newest state counts and not each event, which is what a batch carries.",
            ]
        }
        (true, true) => vec![
            "At this volume single events cost more requests than the minutes that they save are worth.",
            "Batches of rows use a fiftieth of the requests, and run again by themselves.",
        ],
        (true, false) => vec![
            "Half an hour late costs something, but this source tells nobody when a row changes: somebody has to ask it.",
            "Asking often is a batch with a short schedule, without a webhook, an order and dead letters of its own.",
        ],
        (false, _) => vec![
            "Half an hour late costs nothing that a webhook, a queue and an order of messages would be worth.",
            "A batch runs again by itself, and writes only what is different.",
        ],
    };
    scheduled(answers, &why)
}

fn scheduled(answers: &Answers, why: &[&str]) -> Advice {
    let schedule = match (answers.late, answers.from_is) {
        (Late::Nothing, _) => "daily at 02:00",
        (_, Place::Files) => "every 15 minutes",
        (Late::Annoying, _) => "every 15 minutes",
        (Late::Costly | Late::Stops, _) if answers.most() > EVENTS_MAX => "every 5 minutes",
        (Late::Costly | Late::Stops, _) => "every 1 minute",
    };
    let mut found = advice(Outcome::Batch, why).every(schedule);
    if answers.both_ways {
        found = found.how(&[
            "Say for each field which side masters it; what neither masters is asked of a person when both changed it.",
        ]);
    }
    if answers.between(Place::FinanceAndOperations) && answers.most() > DUAL_WRITE_MAX {
        found = found.how(&["Dual-write is left out because it writes within the transaction of whoever saves, and this is too much for that."]);
    }
    found
}
