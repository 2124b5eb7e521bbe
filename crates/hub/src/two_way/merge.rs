//! Merges one row of two sides, field by field. No IO, no clock: what the sides are goes in, what is to be written comes
//! out, and swapping the sides swaps the answer.
//!
//! It is a three-way merge against what the sides were when they last agreed: a field that changed on one side goes to the
//! other, a field with a master goes the master's way, and a field without one that changed on both sides is a dispute.
//!
//! A side may not give back what it was given: a formula cuts it, a column rounds it. Two values are equal, too, if
//! writing the one over the other would change nothing (`echo`). What only the live system does to a value shows after it
//! was written: such a value is sent once more, and if it comes back the same way, that is how the side keeps it.

use std::ops::{Index, IndexMut};

use definition::Conflict;
use jiff::Timestamp;
use record::Value;
use record::hash::RowHasher;

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Left,
    Right,
}

impl Which {
    pub const BOTH: [Which; 2] = [Which::Left, Which::Right];

    pub fn other(self) -> Which {
        match self {
            Which::Left => Which::Right,
            Which::Right => Which::Left,
        }
    }
}

/// Something of each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Both<T> {
    pub left: T,
    pub right: T,
}

impl<T> Both<T> {
    pub fn of(mut each: impl FnMut(Which) -> T) -> Both<T> {
        Both { left: each(Which::Left), right: each(Which::Right) }
    }
}

impl<T> Index<Which> for Both<T> {
    type Output = T;

    fn index(&self, which: Which) -> &T {
        match which {
            Which::Left => &self.left,
            Which::Right => &self.right,
        }
    }
}

impl<T> IndexMut<Which> for Both<T> {
    fn index_mut(&mut self, which: Which) -> &mut T {
        match which {
            Which::Left => &mut self.left,
            Which::Right => &mut self.right,
        }
    }
}

/// How one field goes between the sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// The side can be asked for it.
    pub reads: Both<bool>,
    /// The side is given it: something there holds it, and the side is not its master.
    pub takes: Both<bool>,
}

/// What an integration says of all its rows.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// In the order of the entity's schema.
    pub fields: Vec<Field>,
    /// Rows that only the other side has are created here.
    pub creates_in: Both<bool>,
    /// Rows that are gone from the other side are removed here.
    pub removes_in: Both<bool>,
    pub conflict: Conflict,
}

/// One side of a row as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version<'a> {
    /// The fields; `None` where the side has no such row. *Shape*: in the entity's order, normalised.
    pub values: Option<&'a [Value]>,
    /// What the side would hold if it were given every field of the other side. *Shape*: as `values`; empty where the
    /// other side has no such row.
    pub echo: &'a [Value],
    /// When it was changed, for `conflict: newest`.
    pub changed: Option<Timestamp>,
}

/// What one side of a field was when both last agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    /// The hash of the value that the side had, or is expected to have.
    pub read: u64,
    /// The hash of the value that it was given and has not given back yet, and how often it was given that. Never: it is
    /// the value that the side has if it was given one, which nobody knows.
    pub sent: Option<u64>,
    pub tries: u8,
}

impl Mark {
    fn is_open(self) -> bool {
        self.sent.is_some() && self.tries == 0
    }

    /// Whether the side has what it was about to be given.
    fn has_arrived(self, hash: u64) -> bool {
        self.is_open() && self.sent == Some(hash) && self.read != hash
    }

    /// Whether nobody but the hub has changed the value.
    fn stands(self, hash: u64) -> bool {
        self.read == hash || self.has_arrived(hash)
    }

    fn closed(self) -> Mark {
        if self.is_open() { Mark { read: self.read, ..Mark::default() } } else { self }
    }
}

/// What both sides of a row were when they last agreed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Agreed {
    /// Both sides have had the row: one that lacks it now has lost it.
    pub joined: bool,
    /// In the entity's order; `None` for a field that neither side reads, or that is new.
    pub fields: Vec<Option<Both<Mark>>>,
}

impl Agreed {
    /// What is remembered while `after` is being brought about: should nobody learn what became of that, each field that a
    /// side is given may be as it was, or as it was to be.
    pub fn while_sending(&self, after: &Agreed) -> Agreed {
        let one = |before: Mark, after: Mark| match after.sent {
            _ if after == before => before,
            None => before,
            // A side that is not asked is given it again.
            Some(_) if after.read == 0 => Mark::default(),
            Some(_) => Mark { read: before.read, sent: Some(after.read), tries: 0 },
        };
        let both = |(before, after): (&Option<Both<Mark>>, &Option<Both<Mark>>)| match (before, after) {
            (Some(before), Some(after)) => Some(Both::of(|side| one(before[side], after[side]))),
            _ => *before,
        };
        Agreed { joined: self.joined, fields: self.fields.iter().zip(&after.fields).map(both).collect() }
    }

    /// What is remembered while a row is removed because it is gone from the other side: should nobody learn whether it
    /// was, and the other side have it again as it was, that is a change, and no row which has been lost here.
    pub fn while_removing(&self, gone_from: Which) -> Agreed {
        let mut agreed = self.clone();
        agreed.fields.iter_mut().flatten().for_each(|marks| marks[gone_from] = Mark::default());
        agreed
    }

    /// What is remembered while a row is created on `side`, and this is to be agreed on: should nobody learn what became of
    /// that, what stands there as it was given is nobody's change. Whatever else stands there may be of a row that somebody
    /// has made under the same key. `values`: those of the other side.
    pub fn while_creating(&self, rules: &Rules, side: Which, values: &[Value]) -> Agreed {
        let one = |((marks, rule), value): ((&Option<Both<Mark>>, &Field), &Value)| {
            let given = (*marks)?[side];
            // A master that has nothing has said nothing.
            let says = rule.takes[side.other()] || !value.is_blank();
            let mut open = Both::<Mark>::default();
            open[side] = Mark { read: 0, sent: Some(given.read), tries: 0 };
            (given.sent.is_some() && given.read != 0 && says).then_some(open)
        };
        Agreed { joined: false, fields: self.fields.iter().zip(&rules.fields).zip(values).map(one).collect() }
    }

    /// Whether a run was about to create the row on `side`, and nobody knows whether it did.
    pub fn is_creating(&self, side: Which) -> bool {
        !self.joined && self.fields.iter().flatten().any(|marks| marks[side].is_open())
    }

    /// What is agreed on where a run was about to create the row on `side`, nobody knows whether it did, and the row stands
    /// there as it was given. `None` where it does not, or nothing of the kind was going on.
    fn as_created(&self, rules: &Rules, side: Which, values: &[Value]) -> Option<Agreed> {
        let all = || self.fields.iter().zip(&rules.fields).zip(values);
        let stands = |((marks, rule), value): ((&Option<Both<Mark>>, &Field), &Value)| match marks {
            Some(marks) if marks[side].is_open() => marks[side].has_arrived(hash(value)),
            // The key, and what the side says itself and has not said.
            _ => !(rule.takes.left || rule.takes.right) || value.is_blank(),
        };
        let is_created = self.is_creating(side) && all().all(stands);
        let mark = |value: &Value| Both::of(|_| Mark { read: hash(value), ..Mark::default() });
        let marks =
            |((_, rule), value): ((_, &Field), &Value)| (rule.reads.left || rule.reads.right).then(|| mark(value));
        is_created.then(|| Agreed { joined: true, fields: all().map(marks).collect() })
    }

    /// The same where nothing was sent.
    pub fn closed(self) -> Agreed {
        if !self.joined {
            return Agreed::default();
        }
        let closed = |marks: Option<Both<Mark>>| marks.map(|marks| Both::of(|side| marks[side].closed()));
        Agreed { joined: self.joined, fields: self.fields.into_iter().map(closed).collect() }
    }
}

/// What one side is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Write {
    #[default]
    Nothing,
    /// These fields, by their places in the entity.
    Update(Vec<usize>),
    Create,
    Remove,
}

/// What a person has to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dispute {
    /// Both sides changed these fields, and nobody masters them.
    Fields(Vec<usize>),
    /// This side has lost the row, and the other one has changed it.
    Gone(Which),
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Nothing on either side where there is a dispute.
    pub write: Both<Write>,
    pub dispute: Option<Dispute>,
    /// Fields that a side does not keep as they are given.
    pub lossy: Vec<(Which, usize)>,
    /// What they agree on once that is written.
    pub agreed: Agreed,
}

/// Merges one row. `decided` is the side that a person took for what is in dispute.
///
/// *Shape*: at least one side has the row.
pub(crate) fn merge(
    rules: &Rules,
    agreed: Option<&Agreed>,
    sides: &Both<Version<'_>>,
    decided: Option<Which>,
) -> Merged {
    let absent = Which::BOTH.into_iter().find(|side| sides[*side].values.is_none());
    match absent {
        Some(absent) => one_sided(rules, agreed, sides, absent, decided),
        None => two_sided(rules, agreed, sides, decided),
    }
}

fn one_sided(
    rules: &Rules,
    agreed: Option<&Agreed>,
    sides: &Both<Version<'_>>,
    absent: Which,
    decided: Option<Which>,
) -> Merged {
    let there = absent.other();
    let values = sides[there].values.unwrap_or_default();
    let nothing = |agreed: Agreed| Merged { write: Both::default(), dispute: None, lossy: Vec::new(), agreed };
    let created = agreed.and_then(|agreed| agreed.as_created(rules, there, values));
    let Some(agreed) = created.as_ref().or(agreed).filter(|agreed| agreed.joined) else {
        return match rules.creates_in[absent] {
            true => comes_into_being(rules, sides, absent),
            // Nobody has agreed on anything: should the other side get the row one day, the two are joined.
            false => nothing(Agreed::default()),
        };
    };
    if !rules.removes_in[there] {
        return nothing(agreed.clone());
    }
    // What was never agreed on counts as changed.
    let changed = rules.fields.iter().zip(values).enumerate().any(|(at, (field, value))| {
        let mark = agreed.fields.get(at).and_then(Option::as_ref);
        field.reads[there] && mark.is_none_or(|mark| !mark[there].stands(hash(value)))
    });
    match decided {
        Some(side) if side == there => comes_into_being(rules, sides, absent),
        None if changed => Merged { dispute: Some(Dispute::Gone(absent)), ..nothing(agreed.clone()) },
        _ => {
            let mut merged = nothing(agreed.clone());
            merged.write[there] = Write::Remove;
            merged
        }
    }
}

/// The row comes into being on the side that lacks it. What that side masters, it says itself.
fn comes_into_being(rules: &Rules, sides: &Both<Version<'_>>, absent: Which) -> Merged {
    let there = absent.other();
    let values = sides[there].values.unwrap_or_default();
    let mut merged = Merged {
        write: Both::default(),
        dispute: None,
        lossy: Vec::new(),
        agreed: Agreed { joined: true, fields: Vec::new() },
    };
    let mut back = Vec::new();
    for (at, field) in rules.fields.iter().enumerate() {
        let (value, echo) = (&values[at], &sides[absent].echo[at]);
        let mut marks = Both::default();
        marks[there] = Mark { read: hash(value), ..Mark::default() };
        marks[absent] = Mark { read: hash(echo), ..Mark::default() };
        if field.takes[absent] {
            marks[absent] = given(value, echo);
            if field.reads[absent] && echo != value {
                merged.lossy.push((absent, at));
            }
        } else if field.takes[there] && field.reads[absent] && echo != value && !echo.is_blank() {
            back.push(at);
            marks[there] = given(echo, echo);
        }
        merged.agreed.fields.push((field.reads.left || field.reads.right).then_some(marks));
    }
    merged.write[absent] = Write::Create;
    if !back.is_empty() {
        merged.write[there] = Write::Update(back);
    }
    merged
}

fn two_sided(rules: &Rules, agreed: Option<&Agreed>, sides: &Both<Version<'_>>, decided: Option<Which>) -> Merged {
    let mut write: Both<Vec<usize>> = Both::default();
    let (mut disputed, mut lossy) = (Vec::new(), Vec::new());
    let mut fields = Vec::with_capacity(rules.fields.len());
    let values = Both::of(|side| sides[side].values.unwrap_or_default());
    for (at, field) in rules.fields.iter().enumerate() {
        let before = agreed.and_then(|agreed| agreed.fields.get(at).copied().flatten());
        let one = One {
            rule: field,
            before: before.as_ref(),
            value: Both::of(|side| &values[side][at]),
            echo: Both::of(|side| &sides[side].echo[at]),
        };
        let newest = match rules.conflict {
            Conflict::Newest => newest(sides),
            Conflict::Ask => None,
        };
        let outcome = one.merge(decided.or(newest));
        fields.push(outcome.marks);
        if let Some(side) = outcome.write {
            write[side].push(at);
        }
        if let Some(side) = outcome.lossy {
            lossy.push((side, at));
        }
        if outcome.disputed {
            disputed.push(at);
        }
    }
    if !disputed.is_empty() {
        let agreed = Agreed { joined: true, fields: agreed.map(|agreed| agreed.fields.clone()).unwrap_or_default() };
        return Merged { write: Both::default(), dispute: Some(Dispute::Fields(disputed)), lossy: Vec::new(), agreed };
    }
    let write = Both::of(|side| match std::mem::take(&mut write[side]) {
        none if none.is_empty() => Write::Nothing,
        fields => Write::Update(fields),
    });
    Merged { write, dispute: None, lossy, agreed: Agreed { joined: true, fields } }
}

/// The side that was changed last; `None` where that cannot be told.
fn newest(sides: &Both<Version<'_>>) -> Option<Which> {
    let (left, right) = (sides.left.changed?, sides.right.changed?);
    match left.cmp(&right) {
        std::cmp::Ordering::Less => Some(Which::Right),
        std::cmp::Ordering::Greater => Some(Which::Left),
        std::cmp::Ordering::Equal => None,
    }
}

/// One field of a row that both sides have.
struct One<'a> {
    rule: &'a Field,
    before: Option<&'a Both<Mark>>,
    value: Both<&'a Value>,
    echo: Both<&'a Value>,
}

#[derive(Default)]
struct Outcome {
    write: Option<Which>,
    lossy: Option<Which>,
    disputed: bool,
    marks: Option<Both<Mark>>,
}

impl One<'_> {
    fn merge(&self, in_dispute: Option<Which>) -> Outcome {
        let takes = self.rule.takes;
        let hashes = Both::of(|side| hash(self.value[side]));
        let seen = Both::of(|side| Mark { read: hashes[side], ..Mark::default() });
        let settled = |marks: Both<Mark>| Outcome { marks: Some(marks), ..Outcome::default() };
        match (self.rule.reads.left, self.rule.reads.right) {
            (false, false) => return Outcome::default(),
            (true, false) => return self.blind(Which::Right, seen),
            (false, true) => return self.blind(Which::Left, seen),
            (true, true) => {}
        }
        let keeps = |side: Which| takes[side] && self.echo[side] == self.value[side];
        if self.value.left == self.value.right || keeps(Which::Left) || keeps(Which::Right) {
            return settled(seen);
        }
        let changed = Both::of(|side| self.before.is_none_or(|mark| !mark[side].stands(hashes[side])));
        let arrived = |side: Which| self.before.is_some_and(|mark| mark[side].has_arrived(hashes[side]));
        let winner = match (takes.left, takes.right) {
            (false, false) => return settled(seen),
            (false, true) => Which::Left,
            (true, false) => Which::Right,
            (true, true) => match (changed.left, changed.right) {
                (true, false) => Which::Left,
                (false, true) => Which::Right,
                // It was written by a run that did not remember it, and the side where it came from has changed back.
                (false, false) if arrived(Which::Right) => Which::Left,
                (false, false) if arrived(Which::Left) => Which::Right,
                // They differ, and they did when this was settled: one of them does not keep what it is given.
                (false, false) => return settled(self.before.copied().unwrap_or(seen)),
                (true, true) => match in_dispute {
                    Some(winner) => winner,
                    None => return Outcome { disputed: true, marks: self.before.copied(), ..Outcome::default() },
                },
            },
        };
        if self.is_silent(winner) {
            return settled(seen);
        }
        self.give(winner.other(), hashes)
    }

    /// A master that has nothing, and never had: what the other side has is all there is, and stays.
    fn is_silent(&self, master: Which) -> bool {
        let blank = hash(&Value::Blank);
        let never_spoke = |mark: &Both<Mark>| mark[master].read == blank && mark[master.other()].read != blank;
        !self.rule.takes[master] && self.value[master].is_blank() && self.before.is_none_or(never_spoke)
    }

    /// The other side's value goes to `side`.
    fn give(&self, side: Which, hashes: Both<u64>) -> Outcome {
        let from = side.other();
        let before = self.before.copied().unwrap_or_default();
        let again = before[side].sent == Some(hashes[from]) && !before[side].is_open();
        let mut marks = before;
        marks[from] = Mark { read: hashes[from], ..before[from].closed() };
        // A master says the same again and again; what has come back differently twice is how the side keeps it.
        let comes_back_so = before[side].tries >= 2 && before[side].read == hashes[side] || before[side].tries >= 3;
        if again && comes_back_so && !self.rule.takes[from] {
            return Outcome { lossy: Some(side), marks: Some(marks), ..Outcome::default() };
        }
        marks[side] = match again {
            true => Mark { read: hashes[side], sent: Some(hashes[from]), tries: before[side].tries.saturating_add(1) },
            false => given(self.value[from], self.echo[side]),
        };
        let lossy = (again || self.echo[side] != self.value[from]).then_some(side);
        Outcome { write: Some(side), lossy, disputed: false, marks: Some(marks) }
    }

    /// `side` is given the field and cannot be asked for it.
    fn blind(&self, side: Which, seen: Both<Mark>) -> Outcome {
        let value = hash(self.value[side.other()]);
        let has_it = self.before.is_some_and(|mark| mark[side].sent == Some(value));
        let mut marks = seen;
        if self.rule.takes[side] {
            marks[side] = Mark { read: 0, sent: Some(value), tries: 1 };
        }
        Outcome { write: (self.rule.takes[side] && !has_it).then_some(side), marks: Some(marks), ..Outcome::default() }
    }
}

/// The mark of a side that is given a value for the first time.
pub(crate) fn given(value: &Value, echo: &Value) -> Mark {
    Mark { read: hash(echo), sent: Some(hash(value)), tries: 1 }
}

/// The hash that an agreement keeps of a value.
pub(crate) fn hash(value: &Value) -> u64 {
    RowHasher::default().hash([value.as_ref()]) as u64
}

#[cfg(test)]
mod properties;
