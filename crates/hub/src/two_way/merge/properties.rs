//! What must hold of every merge, whatever the rows, the rules and the systems are.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What becomes of a text on its way into a system.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Keeps {
    AsGiven,
    Cut,
    Upper,
    Lower,
}

impl Keeps {
    fn keep(self, value: &Value) -> Value {
        let Value::Text(text) = value else { return value.clone() };
        Value::Text(match self {
            Keeps::AsGiven => text.clone(),
            Keeps::Cut => text.chars().take(1).collect(),
            Keeps::Upper => text.to_uppercase(),
            Keeps::Lower => text.to_lowercase(),
        })
    }
}

/// One side: what its mapping does to a value is known beforehand, what the live system does is not.
#[derive(Debug, Clone)]
struct Side {
    row: Option<Vec<Value>>,
    changed: i64,
    mapping: Keeps,
    system: Keeps,
}

/// A row of two sides, with what the hub remembers of it.
#[derive(Debug, Clone)]
struct World {
    rules: Rules,
    sides: Both<Side>,
    agreed: Option<Agreed>,
    clock: i64,
}

const FIELDS: usize = 3;

impl World {
    fn merge(&self, decided: Option<Which>) -> Merged {
        let echoes = Both::of(|side| {
            let keeps = |value: &Value| self.sides[side].mapping.keep(value);
            self.echo(side, keeps)
        });
        let versions = Both::of(|side| Version {
            values: self.sides[side].row.as_deref(),
            echo: &echoes[side],
            changed: Timestamp::from_second(self.sides[side].changed).ok(),
        });
        merge(&self.rules, self.agreed.as_ref(), &versions, decided)
    }

    /// What a side would hold after it was given every field that it takes.
    fn echo(&self, side: Which, keeps: impl Fn(&Value) -> Value) -> Vec<Value> {
        let Some(given) = &self.sides[side.other()].row else { return Vec::new() };
        let own = self.sides[side].row.as_ref();
        let field = |(at, value): (usize, &Value)| match self.rules.fields[at].takes[side] {
            true => keeps(value),
            false => own.map_or(Value::Blank, |own| own[at].clone()),
        };
        given.iter().enumerate().map(field).collect()
    }

    /// One exchange; answers how many sides were written.
    fn exchange(&mut self, decided: Option<Which>) -> (usize, Merged) {
        let merged = self.merge(decided);
        let before = self.clone();
        let mut written = 0;
        self.clock += 1;
        for side in Which::BOTH {
            let (mapping, system) = (self.sides[side].mapping, self.sides[side].system);
            let stored = |value: &Value| system.keep(&mapping.keep(value));
            match &merged.write[side] {
                Write::Nothing => continue,
                Write::Create => self.sides[side].row = Some(before.echo(side, stored)),
                Write::Remove => self.sides[side].row = None,
                Write::Update(fields) => {
                    let other = before.sides[side.other()].row.clone();
                    let other = other.unwrap_or_else(|| {
                        let mapping = self.sides[side.other()].mapping;
                        before.echo(side.other(), |value| mapping.keep(value))
                    });
                    let row = self.sides[side].row.as_mut().expect("a row that is not there is not updated");
                    for &at in fields {
                        row[at] = stored(&other[at]);
                    }
                }
            }
            self.sides[side].changed = self.clock;
            written += 1;
        }
        self.agreed = Some(merged.agreed.clone());
        (written, merged)
    }

    /// Exchanges until nothing is written any more; answers the last merge.
    fn settle(&mut self) -> Merged {
        for _ in 0..6 {
            let (written, merged) = self.exchange(None);
            if written == 0 || self.sides.left.row.is_none() && self.sides.right.row.is_none() {
                return merged;
            }
        }
        panic!("it goes to and fro for ever: {self:?}");
    }

    /// What a side has said of fields that the other one takes stands on both.
    fn holds(&self, side: Which, said: &[Value]) -> Result<(), TestCaseError> {
        for (at, field) in self.rules.fields.iter().enumerate() {
            let now = Both::of(|side| self.sides[side].row.as_ref().unwrap()[at].clone());
            if field.takes[side.other()] && field.reads.left && field.reads.right && !said[at].is_blank() {
                prop_assert!(now[side] == said[at] && now[side.other()] == said[at], "field {}: {:?}", at, now);
            }
        }
        Ok(())
    }

    fn swapped(&self) -> World {
        let swap = |both: Both<bool>| Both { left: both.right, right: both.left };
        let field = |field: &Field| Field { reads: swap(field.reads), takes: swap(field.takes) };
        let rules = Rules {
            fields: self.rules.fields.iter().map(field).collect(),
            creates_in: swap(self.rules.creates_in),
            removes_in: swap(self.rules.removes_in),
            conflict: self.rules.conflict,
        };
        World {
            rules,
            sides: Both { left: self.sides.right.clone(), right: self.sides.left.clone() },
            agreed: self.agreed.as_ref().map(swap_agreed),
            clock: self.clock,
        }
    }

    fn lossless(mut self) -> World {
        for side in Which::BOTH {
            self.sides[side].mapping = Keeps::AsGiven;
            self.sides[side].system = Keeps::AsGiven;
        }
        self
    }
}

fn swap_agreed(agreed: &Agreed) -> Agreed {
    let swap = |marks: &Option<Both<Mark>>| marks.map(|both| Both { left: both.right, right: both.left });
    Agreed { joined: agreed.joined, fields: agreed.fields.iter().map(swap).collect() }
}

/// An edit that a person makes: on which side, which field, what value; or the row goes.
#[derive(Debug, Clone)]
enum Edit {
    Set(Which, usize, Value),
    Lose(Which),
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![Just(Which::Left), Just(Which::Right)]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Blank), "[abAB]{1,2}".prop_map(Value::Text)]
}

fn keeps() -> impl Strategy<Value = Keeps> {
    prop_oneof![3 => Just(Keeps::AsGiven), 1 => Just(Keeps::Cut), 1 => Just(Keeps::Upper), 1 => Just(Keeps::Lower)]
}

fn both<T: std::fmt::Debug>(each: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Both<T>> {
    (each.clone(), each).prop_map(|(left, right)| Both { left, right })
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (which(), 0..FIELDS, value()).prop_map(|(side, at, value)| Edit::Set(side, at, value)),
        1 => which().prop_map(Edit::Lose),
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let reads = Both { left: true, right: true };
    let field = move |takes| Field { reads, takes };
    both(prop::bool::weighted(0.7)).prop_map(field)
}

fn world() -> impl Strategy<Value = World> {
    let side = || {
        (prop::option::weighted(0.8, vec(value(), FIELDS)), 0..5i64, keeps(), keeps())
            .prop_map(|(row, changed, mapping, system)| Side { row, changed, mapping, system })
    };
    let conflict = prop_oneof![Just(Conflict::Ask), Just(Conflict::Newest)];
    let rules = (vec(field(), FIELDS), both(any::<bool>()), both(prop::bool::weighted(0.3)), conflict)
        .prop_map(|(fields, creates_in, removes_in, conflict)| Rules { fields, creates_in, removes_in, conflict });
    (rules, side(), side())
        .prop_filter("a row that nobody has", |(_, left, right)| left.row.is_some() || right.row.is_some())
        .prop_map(|(rules, left, right)| World { rules, sides: Both { left, right }, agreed: None, clock: 10 })
}

fn apply(world: &mut World, edits: &[Edit]) {
    for edit in edits {
        world.clock += 1;
        match edit {
            Edit::Set(side, at, value) => {
                let clock = world.clock;
                let side = &mut world.sides[*side];
                if let Some(row) = &mut side.row {
                    row[*at] = value.clone();
                    side.changed = clock;
                }
            }
            Edit::Lose(side) => {
                if world.sides[side.other()].row.is_some() {
                    world.sides[*side].row = None;
                }
            }
        }
    }
}

proptest! {
    /// Swapping the sides swaps the answer.
    #[test]
    fn it_does_not_matter_which_side_is_left(mut world in world(), edits in vec(edit(), 0..6)) {
        apply(&mut world, &edits[..edits.len() / 2]);
        world.exchange(None);
        apply(&mut world, &edits[edits.len() / 2..]);
        if !(world.sides.left.row.is_some() || world.sides.right.row.is_some()) { return Ok(()) }
        let (one, other) = (world.merge(None), world.swapped().merge(None));
        prop_assert_eq!(&one.write.left, &other.write.right);
        prop_assert_eq!(&one.write.right, &other.write.left);
        prop_assert_eq!(one.agreed, swap_agreed(&other.agreed));
        let swapped = other.dispute.map(|dispute| match dispute {
            Dispute::Gone(side) => Dispute::Gone(side.other()),
            fields => fields,
        });
        prop_assert_eq!(one.dispute, swapped);
    }

    /// Whatever the mappings and the systems do to values, it comes to rest; and a further exchange writes nothing.
    #[test]
    fn it_comes_to_rest(mut world in world(), edits in vec(vec(edit(), 0..4), 0..4)) {
        world.settle();
        for edits in edits {
            apply(&mut world, &edits);
            if world.sides.left.row.is_none() && world.sides.right.row.is_none() {
                break;
            }
            world.settle();
            let again = world.clone();
            if world.sides.left.row.is_some() || world.sides.right.row.is_some() {
                let (written, merged) = world.exchange(None);
                prop_assert_eq!(written, 0);
                prop_assert_eq!(Some(merged.agreed), again.agreed);
            }
        }
    }

    /// Where nothing is lost on the way, both sides end equal in what goes between them, or a person is asked.
    #[test]
    fn both_sides_end_equal_or_somebody_is_asked(world in world(), edits in vec(edit(), 0..6)) {
        let mut world = world.lossless();
        world.settle();
        apply(&mut world, &edits);
        let last = world.settle();
        if let (Some(left), Some(right), None) = (&world.sides.left.row, &world.sides.right.row, &last.dispute) {
            for (at, field) in world.rules.fields.iter().enumerate() {
                // A master that has never said anything takes nothing away.
                let silent = Which::BOTH.into_iter().any(|side| {
                    let value = &world.sides[side].row.as_ref().unwrap()[at];
                    field.takes[side.other()] && !field.takes[side] && value.is_blank()
                });
                if (field.takes.left || field.takes.right) && !silent {
                    prop_assert_eq!(&left[at], &right[at], "field {}", at);
                }
            }
        }
        prop_assert!(last.dispute.is_none() || world.rules.conflict == Conflict::Ask
            || matches!(last.dispute, Some(Dispute::Gone(_))) || world.sides.left.changed == world.sides.right.changed);
    }

    /// The master of a field is never written, and where nothing is lost on the way its value is everywhere in the end: a
    /// blank too, unless it never was anything else.
    #[test]
    fn a_master_always_wins(world in world(), edits in vec(edit(), 0..6)) {
        let mut world = world.lossless();
        world.settle();
        let settled = world.clone();
        apply(&mut world, &edits);
        let before = world.clone();
        let last = world.settle();
        let (Some(left), Some(right)) = (&world.sides.left.row, &world.sides.right.row) else { return Ok(()) };
        if last.dispute.is_some() { return Ok(()) }
        let (Some(was_left), Some(_)) = (&before.sides.left.row, &before.sides.right.row) else { return Ok(()) };
        for (at, field) in world.rules.fields.iter().enumerate() {
            if field.takes.right && !field.takes.left {
                prop_assert_eq!(&left[at], &was_left[at], "the master was written");
                let agreed = settled.agreed.as_ref().and_then(|agreed| agreed.fields.get(at).copied().flatten());
                let blank = hash(&Value::Blank);
                let spoke = agreed.is_some_and(|mark| mark.left.read != blank || mark.right.read == blank);
                if spoke || !was_left[at].is_blank() {
                    prop_assert_eq!(&right[at], &was_left[at]);
                }
            }
        }
    }

    /// A field that only one side has changed is changed on both; what nobody has changed stays. Nothing is lost.
    #[test]
    fn what_one_side_changed_is_kept(world in world(), edits in vec((0..FIELDS, value()), 1..4), side in which()) {
        let mut world = world.lossless();
        let first = world.settle();
        if !(first.dispute.is_none() && world.sides.left.row.is_some() && world.sides.right.row.is_some()) { return Ok(()) }
        let was = world.sides[side].row.clone().unwrap();
        let edits: Vec<Edit> = edits.into_iter().map(|(at, value)| Edit::Set(side, at, value)).collect();
        apply(&mut world, &edits);
        let edited = world.sides[side].row.clone().unwrap();
        let other = world.sides[side.other()].row.clone().unwrap();
        let last = world.settle();
        prop_assert!(last.dispute.is_none(), "one side alone is no conflict: {:?}", last);
        for (at, field) in world.rules.fields.iter().enumerate() {
            let now = Both::of(|side| world.sides[side].row.as_ref().unwrap()[at].clone());
            match (field.takes[side.other()], field.takes[side]) {
                (true, false) if was[at].is_blank() && edited[at].is_blank() => prop_assert!(now[side] == edited[at]),
                (true, _) => prop_assert!(now[side] == edited[at] && now[side.other()] == edited[at]),
                // A master that is blank and never was anything else takes nothing away.
                (false, true) if other[at].is_blank() => {
                    prop_assert!(now[side.other()] == other[at] && (now[side] == other[at] || now[side] == edited[at]))
                }
                (false, true) => prop_assert!(now[side] == other[at] && now[side.other()] == other[at]),
                (false, false) => prop_assert!(now[side] == edited[at] && now[side.other()] == other[at]),
            }
        }
    }

    /// A killed exchange that has written one side and remembered nothing is as if it had not begun.
    #[test]
    fn half_an_exchange_is_completed(world in world(), edits in vec(edit(), 0..6), side in which()) {
        let mut world = world.lossless();
        world.settle();
        apply(&mut world, &edits);
        if !(world.sides.left.row.is_some() || world.sides.right.row.is_some()) { return Ok(()) }
        let mut whole = world.clone();
        let merged = whole.merge(None);
        // What is created goes first, and what depends on it never alone.
        let first = Which::BOTH.into_iter().find(|side| merged.write[*side] == Write::Create).unwrap_or(side);
        let mut half = world.clone();
        let mut done = world.clone();
        done.exchange(None);
        half.sides[first].row = done.sides[first].row.clone();
        whole.settle();
        if half.sides.left.row.is_some() || half.sides.right.row.is_some() {
            half.settle();
        }
        prop_assert_eq!(&half.sides.left.row, &whole.sides.left.row);
        prop_assert_eq!(&half.sides.right.row, &whole.sides.right.row);
    }

    /// Where a killed exchange remembers what it was about to write, whoever it came from may change it again, or back:
    /// what the hub has written itself, or has not, is nobody's change.
    #[test]
    fn what_a_killed_exchange_wrote_is_nobodys_change(
        world in world(), edits in vec((0..FIELDS, value()), 1..4), more in vec((0..FIELDS, value()), 0..4),
        side in which(), back in any::<bool>(), done in any::<bool>(),
    ) {
        let mut world = world.lossless();
        world.rules.conflict = Conflict::Ask;
        let first = world.settle();
        if !(first.dispute.is_none() && world.sides.left.row.is_some() && world.sides.right.row.is_some()) { return Ok(()) }
        let set = |edits: Vec<(usize, Value)>| edits.into_iter().map(|(at, value)| Edit::Set(side, at, value)).collect::<Vec<_>>();
        let was = world.sides[side].row.clone();
        apply(&mut world, &set(edits));
        let (before, merged) = (world.agreed.clone().unwrap(), world.merge(None));
        let mut half = world.clone();
        half.exchange(None);
        if done {
            world.sides = half.sides;
        }
        world.agreed = Some(before.while_sending(&merged.agreed));
        if back {
            // Only what the side says itself; where it is told, it has been told.
            for at in 0..FIELDS {
                if world.rules.fields[at].takes[side.other()] {
                    world.sides[side].row.as_mut().unwrap()[at] = was.as_ref().unwrap()[at].clone();
                }
            }
        }
        apply(&mut world, &set(more));
        let said = world.sides[side].row.clone().unwrap();
        let last = world.settle();
        prop_assert!(last.dispute.is_none(), "{:?}", last);
        world.holds(side, &said)?;
        let agreed = world.agreed.clone().unwrap();
        prop_assert_eq!(agreed.clone().closed(), agreed, "nothing is left open");
    }

    /// A row that a killed exchange has created, or has not, and that is edited where it came from meanwhile: nobody is
    /// asked, and the edit holds.
    #[test]
    fn what_a_killed_creation_left_is_nobodys_change(
        world in world(), more in vec((0..FIELDS, value()), 0..4), side in which(), done in any::<bool>(),
    ) {
        let mut world = world.lossless();
        world.rules.conflict = Conflict::Ask;
        (world.agreed, world.sides[side.other()].row) = (None, None);
        let Some(row) = world.sides[side].row.clone() else { return Ok(()) };
        let merged = world.merge(None);
        if merged.write[side.other()] != Write::Create { return Ok(()) }
        let mut whole = world.clone();
        whole.exchange(None);
        if done {
            world.sides[side.other()].row = whole.sides[side.other()].row.clone();
        }
        world.agreed = Some(merged.agreed.while_creating(&world.rules, side.other(), &row));
        apply(&mut world, &more.into_iter().map(|(at, value)| Edit::Set(side, at, value)).collect::<Vec<_>>());
        let said = world.sides[side].row.clone().unwrap();
        let last = world.settle();
        prop_assert!(last.dispute.is_none(), "{:?}", last);
        world.holds(side, &said)?;
    }

    /// A row that a killed exchange has removed, and that comes back where it was gone, is not removed there.
    #[test]
    fn what_comes_back_after_a_killed_removal_stays(world in world(), side in which(), done in any::<bool>()) {
        let mut world = world;
        let first = world.settle();
        let Some(row) = world.sides[side].row.clone() else { return Ok(()) };
        if first.dispute.is_some() || world.sides[side.other()].row.is_none() { return Ok(()) }
        world.sides[side].row = None;
        let merged = world.merge(None);
        if merged.write[side.other()] != Write::Remove { return Ok(()) }
        world.agreed = world.agreed.map(|agreed| agreed.while_removing(side));
        if !done {
            prop_assert_eq!(&world.merge(None).write[side.other()], &Write::Remove, "it goes on");
        }
        if done {
            world.sides[side.other()].row = None;
        }
        world.sides[side].row = Some(row);
        prop_assert_ne!(&world.merge(None).write[side], &Write::Remove);
    }

    /// A decision settles a dispute for good.
    #[test]
    fn a_decision_ends_the_dispute(world in world(), edits in vec(edit(), 1..6), side in which()) {
        let mut world = world.lossless();
        world.settle();
        apply(&mut world, &edits);
        if !(world.sides.left.row.is_some() || world.sides.right.row.is_some()) { return Ok(()) }
        let Some(Dispute::Fields(fields)) = world.settle().dispute else { return Ok(()) };
        let taken = world.sides[side].row.clone().unwrap();
        world.exchange(Some(side));
        let last = world.settle();
        prop_assert!(last.dispute.is_none());
        for at in fields {
            prop_assert_eq!(&world.sides[side.other()].row.as_ref().unwrap()[at], &taken[at]);
        }
    }
}
