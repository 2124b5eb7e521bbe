//! What can be recommended, and what each is made of.

use super::answers::words;

words! {
    /// The simplest first.
    Outcome {
        Nothing "nothing",
        Report "report",
        PlatformVirtual "platform_virtual",
        PowerAutomate "power_automate",
        DualWrite "dual_write",
        Batch "batch",
        Virtual "virtual",
        Flow "flow",
        Event "event",
        PlugIn "plug_in",
    }
}

/// What an outcome is made of and asks for. *Units*: days of work, in tenths, for one entity between two systems.
pub(super) struct Made {
    pub title: &'static str,
    pub is: &'static str,
    pub parts: &'static [&'static str],
    pub at_night: &'static [&'static str],
    pub build_tenths: u32,
    pub run_tenths_a_year: u32,
}

impl Outcome {
    /// One of the hub's four patterns.
    pub fn is_ours(self) -> bool {
        matches!(self, Outcome::Batch | Outcome::Event | Outcome::Virtual | Outcome::Flow)
    }

    /// Nothing moves between systems.
    pub fn is_no_integration(self) -> bool {
        matches!(self, Outcome::Nothing | Outcome::Report)
    }

    /// As it stands in a sentence: `a batch integration`.
    pub fn title(self) -> &'static str {
        self.made().title
    }

    /// What it is, in one sentence.
    pub fn is(self) -> &'static str {
        self.made().is
    }

    pub(super) fn made(self) -> &'static Made {
        match self {
            Outcome::Nothing => &Made {
                title: "no integration",
                is: "Nothing is built: somebody does it by hand, looks where it is, or nobody needed it.",
                parts: &[],
                at_night: &[],
                build_tenths: 0,
                run_tenths_a_year: 0,
            },
            Outcome::Report => &Made {
                title: "a report",
                is: "A report reads both sides where they are and shows the sums; no row is copied into Dynamics.",
                parts: &["the report", "its refresh"],
                at_night: &["The refresh fails: yesterday's figures are shown, and nothing else stops."],
                build_tenths: 20,
                run_tenths_a_year: 5,
            },
            Outcome::PlatformVirtual => &Made {
                title: "a virtual table of the platform",
                is: "Dataverse shows the rows live by its own provider: the Virtual Connector Provider, or the virtual tables of Finance and Operations.",
                parts: &["the connection", "the virtual table"],
                at_night: &[
                    "The connection's sign-in expires: the table is empty or shows an error until somebody signs in again.",
                ],
                build_tenths: 10,
                run_tenths_a_year: 10,
            },
            Outcome::PowerAutomate => &Made {
                title: "a Power Automate flow",
                is: "A cloud flow of the platform, which the team already knows and pays for.",
                parts: &["the flow", "its connections", "the licence of its owner"],
                at_night: &[
                    "A connection expires, or its owner leaves: runs fail one by one, and a mail says so to the owner.",
                    "A failed run is started again by hand, one at a time.",
                ],
                build_tenths: 10,
                run_tenths_a_year: 20,
            },
            Outcome::DualWrite => &Made {
                title: "dual-write",
                is: "Finance and Operations and Dataverse write each other's rows in the same moment, by Microsoft's own table maps.",
                parts: &["the table maps", "their keys and company fields", "the first synchronisation"],
                at_night: &[
                    "One side is down: saving fails on the other, or the map pauses and has to be caught up.",
                    "A map stops after an update of either side until somebody starts it again.",
                ],
                build_tenths: 40,
                run_tenths_a_year: 40,
            },
            Outcome::Batch => &Made {
                title: "a batch integration",
                is: "What changed is read and written on a schedule; a run that fails runs again by itself.",
                parts: &["the schedule", "the position and the ledger of what was written"],
                at_night: &[
                    "A run fails: the next one does its work too; people hear of it only when the result is late.",
                    "A row is rejected: it waits as a dead letter, and the others go on.",
                ],
                build_tenths: 20,
                run_tenths_a_year: 10,
            },
            Outcome::Virtual => &Made {
                title: "a virtual table that the hub answers",
                is: "Dynamics asks the hub whenever somebody looks, and the hub asks the source: no copy, nothing stale, read only.",
                parts: &[
                    "the address that Dynamics reaches",
                    "its key and certificate",
                    "the virtual table",
                    "the source, at every look",
                ],
                at_night: &[
                    "The source is down: whoever looks sees an error in a second, and nothing has to be repaired.",
                ],
                build_tenths: 20,
                run_tenths_a_year: 10,
            },
            Outcome::Flow => &Made {
                title: "a flow with a person in it",
                is: "Steps that wait for people: questions, reminders, deadlines, and a write when it is decided.",
                parts: &["the steps", "the people and their deputies", "the calendar", "the trigger"],
                at_night: &["Nobody answers: it waits, reminds and escalates by the calendar; nothing is lost."],
                build_tenths: 30,
                run_tenths_a_year: 20,
            },
            Outcome::Event => &Made {
                title: "an event integration",
                is: "Something happens, and the others hear of it within seconds: in order, exactly as often as it happened.",
                parts: &[
                    "the webhook and its registration",
                    "an address that the sender reaches, with key and certificate",
                    "the queue",
                    "the consumer of each destination",
                    "the dead letters",
                    "the sweep behind it",
                ],
                at_night: &[
                    "A destination is down: messages pile up and are delivered when it is back.",
                    "One message cannot be delivered: it holds the later ones of its key until somebody looks.",
                    "The sender dropped an event: the sweep finds it a quarter of an hour later.",
                ],
                build_tenths: 50,
                run_tenths_a_year: 40,
            },
            Outcome::PlugIn => &Made {
                title: "a plug-in or custom API that calls the provider",
                is: "The answer is fetched while the user waits, inside Dataverse; what follows from it goes out as an event.",
                parts: &[
                    "the plug-in and its release",
                    "the provider's address and secret in Dataverse",
                    "a key that makes a repeated call safe",
                    "the event behind it",
                ],
                at_night: &[
                    "The provider is slow: everybody who saves waits, and Dataverse ends it after two minutes.",
                    "The provider is down: nobody can go on, so there must be a way without it.",
                ],
                build_tenths: 80,
                run_tenths_a_year: 50,
            },
        }
    }
}
