//! `ironbridge.yaml`, `people.yaml` and `environments/*.yaml`.

use crate::table::{DURATION, Field, SECRET, Shape, TEXT, Table, Thing, URL, YES_NO, one_of};

pub(crate) const HUB: Table = Table {
    name: "the hub",
    doc: "What holds for the whole project: its name, its time zone, its working hours and who hears of what.",
    parts: &[&[
        Field::new("hub", Shape::Name, "The name of this hub, in every alert and page.", "contoso").required(),
        Field::new("time_zone", Shape::Zone, "The time zone of schedules, times and working hours.", "Europe/London")
            .default("UTC"),
        Field::new(
            "calendar",
            Shape::Group(&CALENDAR),
            "When people work: it counts for `working days`.",
            "{ working_hours: \"09:00-17:30\" }",
        )
        .default("{}"),
        Field::new(
            "alerts",
            Shape::Many(&Shape::Group(&ALERT)),
            "Who hears of alerts, besides the owner of the integration.",
            "[{ to: finance-it }]",
        ),
        Field::new(
            "mail",
            Shape::Group(&MAIL),
            "By which server alerts and questions are mailed; without it no mail leaves the hub.",
            "{ server: \"${env:MAIL_SERVER}\", from: hub@contoso.example }",
        ),
        Field::new(
            "heartbeat",
            Shape::Group(&HEARTBEAT),
            "An outside watcher that notices when the hub itself is silent.",
            "{ url: \"${env:HEARTBEAT_URL}\" }",
        ),
        Field::new(
            "address",
            URL,
            "Where people reach the console of this hub; links in alerts begin with it.",
            "https://hub.contoso.example",
        ),
        Field::new(
            "retention",
            Shape::Group(&RETENTION),
            "How long the hub keeps what it no longer needs.",
            "{ messages: 14 days }",
        )
        .default("{}"),
        super::accept::ACCEPT,
    ]],
};

pub(crate) const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const CALENDAR: Table = Table {
    name: "a calendar",
    doc: "The working hours of the people who answer alerts and approvals.",
    parts: &[&[
        Field::new("working_hours", Shape::Hours, "From when to when.", "\"09:00-17:30\"").default("\"09:00-17:30\""),
        Field::new(
            "working_days",
            Shape::Many(&one_of(WEEKDAYS)),
            "The days of the week on which people work.",
            "[mon, tue, wed, thu, fri]",
        )
        .default("[mon, tue, wed, thu, fri]"),
        Field::new(
            "holidays",
            Shape::Holidays,
            "Public holidays by the name of their calendar, or a list of dates.",
            "england-and-wales",
        )
        .default("none"),
    ]],
};

/// The calendars of public holidays that the hub can work out by itself.
pub(crate) const HOLIDAYS: &[&str] = &["none", "england-and-wales", "scotland"];

const ALERT: Table = Table {
    name: "an alert route",
    doc: "Who hears of alerts, of which severity, and when.",
    parts: &[&[
        Field::new("to", Shape::OneOrMany(&Shape::Ref(Thing::Who)), "A group or a person.", "finance-it").required(),
        Field::new(
            "severity",
            Shape::OneOrMany(&one_of(&["warning", "critical"])),
            "Which alerts.",
            "[warning, critical]",
        )
        .default("[warning, critical]"),
        Field::new(
            "between",
            Shape::Hours,
            "Only at these hours, in the hub's time zone; it may pass midnight.",
            "\"18:00-08:00\"",
        ),
    ]],
};

const MAIL: Table = Table {
    name: "mail",
    doc: "How the hub sends mail.",
    parts: &[&[
        Field::new(
            "server",
            URL,
            "The SMTP server, such as smtp://user:password@host:587?tls=required; or `file:` and a folder, to try things out.",
            "\"${env:MAIL_SERVER}\"",
        )
        .required(),
        Field::new("from", Shape::Email, "The sender of every mail.", "hub@contoso.example").required(),
    ]],
};

const HEARTBEAT: Table = Table {
    name: "a heartbeat",
    doc: "A URL that is called again and again while the hub works, so that a watcher elsewhere misses it when it does not.",
    parts: &[&[
        Field::new("url", URL, "The address that the watcher gave.", "\"${env:HEARTBEAT_URL}\"").required(),
        Field::new("every", DURATION, "How often it is called.", "1 minute").default("1 minute"),
    ]],
};

const RETENTION: Table = Table {
    name: "the retention",
    doc: "How long the hub keeps what it no longer needs.",
    parts: &[&[
        Field::new("journal", DURATION, "What was done, by whom and when.", "90 days").default("90 days"),
        Field::new("messages", DURATION, "The bodies of messages that are done.", "14 days").default("14 days"),
        Field::new("personal", DURATION, "Personal fields in anything that is kept.", "30 days").default("30 days"),
    ]],
};

pub(crate) const PEOPLE: Table = Table {
    name: "the people of a project",
    doc: "The people and groups that own integrations, hear of alerts and decide approvals.",
    parts: &[&[
        Field::new(
            "people",
            Shape::Named("person", &Shape::Group(&PERSON)),
            "Each person by a short name.",
            "{ controller: { name: (sample) controller, email: controller@contoso.example } }",
        ),
        Field::new(
            "groups",
            Shape::Named("group", &Shape::Group(&GROUP)),
            "Each group by a short name.",
            "{ finance-it: { email: finance-it@contoso.example } }",
        ),
    ]],
};

const PERSON: Table = Table {
    name: "a person",
    doc: "Somebody who can be asked and told.",
    parts: &[
        &[
            Field::new("name", TEXT, "As it stands in mails and pages.", "(sample) credit controller").required(),
            Field::new("email", Shape::Email, "Where approvals and alerts go.", "controller@contoso.example")
                .required(),
            Field::new(
                "manager",
                Shape::Ref(Thing::Person),
                "Who is asked when this person does not answer.",
                "director",
            ),
        ],
        HEARS,
    ],
};

/// When somebody hears of what can wait.
const HEARS: &[Field] = &[
    Field::new(
        "calendar",
        Shape::Group(&OWN_CALENDAR),
        "When they work, where that is not as the calendar of the hub says: reminders, deadlines and warnings go by it.",
        "{ working_hours: \"07:00-15:00\" }",
    ),
    Field::new("time_zone", Shape::Zone, "Of these hours, where it is not that of the hub.", "America/New_York"),
    Field::new(
        "warnings",
        one_of(&["in_working_hours", "always"]),
        "When they are told of alerts that are warnings: what comes outside their working hours waits for the next ones. What is critical never waits.",
        "always",
    )
    .default("in_working_hours"),
];

const OWN_CALENDAR: Table = Table {
    name: "a calendar of its own",
    doc: "The working hours of one person or group. What is left out is as in the calendar of the hub.",
    parts: &[&[
        Field::new("working_hours", Shape::Hours, "From when to when.", "\"07:00-15:00\""),
        Field::new(
            "working_days",
            Shape::Many(&one_of(WEEKDAYS)),
            "The days of the week on which they work.",
            "[mon, tue, wed, thu, fri, sat]",
        ),
        Field::new(
            "holidays",
            Shape::Holidays,
            "Public holidays by the name of their calendar, or a list of dates.",
            "scotland",
        ),
    ]],
};

const GROUP: Table = Table {
    name: "a group",
    doc: "Several people, or a channel, under one name.",
    parts: &[
        &[
            Field::new("members", Shape::Many(&Shape::Ref(Thing::Person)), "The people of the group.", "[controller]")
                .default("[]"),
            Field::new(
                "channels",
                Shape::Many(&one_of(&["email", "teams", "slack", "webhook", "pagerduty"])),
                "By which ways the group is told; by default by every way that it has.",
                "[email, teams]",
            ),
            Field::new("email", Shape::Email, "A shared mailbox.", "finance-it@contoso.example"),
            Field::new("teams", SECRET, "The URL of a Teams workflow that posts to a channel.", "\"${env:TEAMS_URL}\""),
            Field::new("slack", SECRET, "The URL of a Slack webhook.", "\"${env:SLACK_URL}\""),
            Field::new("webhook", SECRET, "A URL that takes an alert as JSON.", "\"${env:ALERT_URL}\""),
            Field::new("pagerduty", SECRET, "The key of a PagerDuty service.", "\"${env:PAGERDUTY_KEY}\""),
        ],
        HEARS,
    ],
};

pub(crate) const ENVIRONMENT: Table = Table {
    name: "an environment",
    doc: "What is different in one environment: laid over the definitions, key by key. Each has a state of its own.",
    parts: &[&[
        Field::new("protected", YES_NO, "Writes only from `up`, or after somebody typed the name of the hub.", "true")
            .default("false"),
        Field::new(
            "systems",
            Shape::Named("", &Shape::Anything),
            "Keys of a system that are different here.",
            "{ dynamics: { connection: { url: https://contoso.crm11.dynamics.com } } }",
        ),
        Field::new(
            "integrations",
            Shape::Named("", &Shape::Anything),
            "Keys of an integration that are different here.",
            "{ prices: { schedule: daily at 05:00 } }",
        ),
        Field::new(
            "hub",
            Shape::Anything,
            "Keys of ironbridge.yaml that are different here.",
            "{ time_zone: Europe/Dublin }",
        ),
    ]],
};
