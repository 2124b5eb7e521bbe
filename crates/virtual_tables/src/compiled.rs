//! A virtual table bound to the live columns of its source.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use definition::{Project, SystemEntity};
use mapping::{Columns, Plain, Read, ReadMapping, ReadPlan};
use record::guid::Scheme;
use record::query::{Answer, Expr};
use record::{Entity, Fault, Key, Queryable, ReadSpec, Row, Schema, System, Type, Value, ValueRef};
use uuid::Uuid;

use crate::ask::Place;
use crate::codes;
use crate::exposed::{Exposed, Of};
use crate::invert::{Inverse, inverses};
use crate::refused::Refused;
use crate::where_;

/// Compiled selections that are kept.
const SELECTIONS_MAX: usize = 64;

pub(crate) struct Compiled {
    pub source: Arc<dyn Queryable>,
    pub schema: Arc<Schema>,
    pub fields: Vec<Inverse>,
    /// What the mapping's `where:` asks of the columns; `Err` where the rows have to be read first.
    pub where_: Result<Option<Expr>, ()>,
    /// What `where:` says of a row may tell what personal fields are made of.
    where_is_personal: bool,
    held: SystemEntity,
    pub entities: mapping::Entities,
    zone: Option<record::TimeZone>,
    selections: Mutex<HashMap<Vec<usize>, Arc<Selection>>>,
}

/// The mapping of some fields.
pub(crate) struct Selection {
    pub mapping: ReadMapping,
    /// Where the mapping makes nothing of what it reads.
    plain: Option<Plain>,
    entity: Arc<Entity>,
    /// By the place of a field in the whole entity: its place in the smaller one.
    places: Vec<Option<usize>>,
    /// The places of the key's fields in the smaller one.
    key: Vec<usize>,
}

/// One row as a user sees it.
pub(crate) struct Seen {
    /// Where keys are wanted.
    pub key: Option<Key>,
    pub guid: Uuid,
    /// In the order of the properties that were wanted.
    pub values: Vec<Value>,
    /// The row in the source's columns, at this place of the answer.
    pub at: usize,
}

impl Compiled {
    /// *Errors*: the source does not answer; a column is not there; a formula does not fit the columns that there are.
    pub async fn new(project: &Project, exposed: &Exposed, system: &dyn System) -> Result<Compiled, Fault> {
        let defined = project.system(&exposed.from).expect("a checked project names systems that exist");
        let held = defined.entity(&exposed.entity.name).expect("a checked project maps the entity").clone();
        let entities = project.entities_by_name();
        let zone = defined.time_zone.clone();
        let does_not_fit = |problems: Vec<mapping::Problem>| {
            let all: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
            let what =
                format!("the mapping of `{}` in `{}` does not fit: {}", held.entity, defined.name, all.join("; "));
            Fault::ask_person(codes::ROW_UNFIT, what)
                .at_system(&defined.name)
                .fix("correct the mapping, or the source; `ironbridge check --online` looks at both")
        };
        let plan = |columns: &Columns| {
            ReadMapping::compile(&ReadPlan {
                entity: &exposed.entity,
                rules: &held.read,
                filter: held.where_.as_deref(),
                columns,
                entities: &entities,
                lookups: None,
                zone: zone.clone(),
            })
        };
        // What the mapping reads is known before anybody knows the types of it.
        let mut columns = plan(&Columns::open()).map_err(does_not_fit)?.columns().to_vec();
        let key = held.key_columns(&exposed.entity).unwrap_or_default();
        for column in &key {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        let fields = held.read.iter().filter_map(|rule| match &rule.expr {
            mapping::Expr::Source(column) => Some((rule.target.clone(), column.clone())),
            _ => None,
        });
        let spec = ReadSpec {
            table: held.table.clone().unwrap_or_default(),
            columns,
            declared: held.columns.clone(),
            watermark: None,
            key,
            rows_per_batch: 1_000,
            time_zone: zone.clone(),
            fields: fields.collect(),
            options: held.options.clone(),
        };
        let source = system.queryable(spec)?;
        let schema = source.schema().await?;
        let where_is_personal = plan(&Columns::closed(&schema)).map_err(does_not_fit)?.filter_is_personal();
        let fields = inverses(exposed, &held, &entities, &schema);
        let where_ = match &held.where_ {
            None => Ok(None),
            Some(text) => where_::question(text, &schema).map(Some).ok_or(()),
        };
        let selections = Mutex::default();
        Ok(Compiled { source, schema, fields, where_, where_is_personal, held, entities, zone, selections })
    }

    /// The columns that no two rows with different keys have the same in; nothing where the source has none of a field.
    pub fn key(&self, exposed: &Exposed) -> Option<Vec<&str>> {
        let column = |name: &String| match &self.fields[exposed.entity.schema.index(name)?] {
            Inverse::Column(name, _)
            | Inverse::AsText(name, _)
            | Inverse::Text(_, name)
            | Inverse::Guid(name)
            | Inverse::Bytes(name) => Some(name.as_str()),
            _ => None,
        };
        exposed.entity.key.iter().map(column).collect()
    }

    /// The mapping of these properties and the key.
    pub fn selection(&self, exposed: &Exposed, properties: &[usize]) -> Result<Arc<Selection>, Fault> {
        let entity = &exposed.entity;
        let of = |at: &usize| match exposed.properties[*at].of {
            Of::Key => None,
            Of::Field(field) | Of::Other { field, .. } => Some(field),
        };
        let mut wanted: Vec<usize> = properties.iter().filter_map(of).collect();
        wanted.extend(entity.key.iter().filter_map(|name| entity.schema.index(name)));
        wanted.sort_unstable();
        wanted.dedup();
        if let Some(found) = self.selections.lock().expect("nothing panics while it looks here").get(&wanted) {
            return Ok(found.clone());
        }
        let fields: Vec<_> = wanted.iter().map(|at| entity.fields[*at].clone()).collect();
        let smaller = Arc::new(Entity::new(entity.name.clone(), entity.key.clone(), None, fields));
        let rules: Vec<_> =
            self.held.read.iter().filter(|rule| smaller.field(&rule.target).is_some()).cloned().collect();
        let mapping = ReadMapping::compile(&ReadPlan {
            entity: &smaller,
            rules: &rules,
            filter: self.held.where_.as_deref(),
            columns: &Columns::closed(&self.schema),
            entities: &self.entities,
            lookups: None,
            zone: self.zone.clone(),
        })
        .map_err(|problems| {
            let first = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
            Fault::ask_person(codes::ROW_UNFIT, format!("the mapping of `{}` does not fit: {first}", entity.name))
        })?;
        let mapping = mapping.with_personal_filter(self.where_is_personal);
        let places = entity.fields.iter().map(|field| smaller.schema.index(&field.name)).collect();
        let key = smaller.key.iter().filter_map(|name| smaller.schema.index(name)).collect();
        let plain = mapping.plain(matches!(exposed.scheme, Scheme::Packed(_)));
        let selection = Arc::new(Selection { mapping, plain, entity: smaller, places, key });
        let mut selections = self.selections.lock().expect("nothing panics while it looks here");
        if selections.len() >= SELECTIONS_MAX {
            selections.clear();
        }
        selections.insert(wanted, selection.clone());
        Ok(selection)
    }
}

/// Rows that are shown as they came.
pub(crate) struct AsTheyCame {
    pub places: Vec<Place>,
    pub guids: Vec<Uuid>,
    /// Where GUIDs are hashes.
    pub keys: Vec<Key>,
}

impl Selection {
    /// The first `rows` of an answer, where a user sees them as they came; nothing where something has to be made of
    /// one of them, or one does not fit. The `where:` of the mapping is not looked at.
    pub fn as_they_came(
        &self,
        exposed: &Exposed,
        answer: &Answer,
        rows: usize,
        properties: &[usize],
    ) -> Option<AsTheyCame> {
        let plain = self.plain.as_ref()?;
        let binding = self.mapping.bind(answer.rows.schema()).ok()?;
        let column = |smaller: usize| plain.column(smaller).map(|column| binding[column]);
        let place = |at: &usize| match &exposed.properties[*at].of {
            Of::Key => Some(Place::Key),
            Of::Field(field) => column(self.places[*field]?).map(Place::Source),
            Of::Other { .. } => None,
        };
        let places = properties.iter().map(place).collect::<Option<_>>()?;
        let key: Vec<usize> = self.key.iter().map(|at| column(*at)).collect::<Option<_>>()?;
        if !plain.takes(&answer.rows, rows, &binding) {
            return None;
        }
        let is_hashed = exposed.scheme == Scheme::Hashed;
        let (mut guids, mut keys) = (Vec::with_capacity(rows), Vec::new());
        for row in answer.rows.rows().take(rows) {
            let parts = key.iter().map(|column| row.at(*column));
            guids.push(if is_hashed {
                let parts: Vec<Value> = parts.map(|part| part.to_owned()).collect();
                let key = Key::of(&parts).ok()?;
                let guid = exposed.scheme.guid(&key)?;
                keys.push(key);
                guid
            } else {
                exposed.scheme.guid_of(parts)?
            });
        }
        Some(AsTheyCame { places, guids, keys })
    }

    /// The rows of an answer as users see them, with these properties, without repeats; those that `where:` leaves out
    /// are not among them. `keyed`: with their keys, also where the GUIDs are made without them.
    ///
    /// *Errors*: a row that does not fit its entity: an answer without it, or with a blank in it, would be a wrong one.
    pub fn seen(
        &self,
        exposed: &Exposed,
        answer: &Answer,
        properties: &[usize],
        keyed: bool,
    ) -> Result<Vec<Seen>, Refused> {
        let binding = self.mapping.bind(answer.rows.schema()).map_err(|missing| {
            Refused::new(502, codes::ROW_UNFIT, format!("the source did not answer with {}", missing.join(", ")))
        })?;
        let keyed = keyed || exposed.scheme == Scheme::Hashed;
        let mut all = Vec::with_capacity(answer.rows.len());
        for (at, row) in answer.rows.rows().enumerate() {
            let read = match self.mapping.apply(row, &binding) {
                Ok(Read::Row(read)) => read,
                Ok(Read::LeftOut) => continue,
                Err(rejected) => {
                    let key = self.mapping.key(row, &binding).map(|key| key.to_string());
                    let fault = rejected.faults.into_iter().next();
                    return Err(unfit(exposed, key, fault));
                }
            };
            let (key, guid) = self.key(exposed, &read, keyed)?;
            let mut read = read.into_values();
            // A field is that of one property: what is shown is moved, not copied.
            let values = properties.iter().map(|at| match &exposed.properties[*at].of {
                Of::Key => Value::Guid(guid),
                Of::Field(field) => self.value(&mut read, *field),
                Of::Other { field, scheme, .. } => other(&self.value(&mut read, *field), scheme),
            });
            let values = values.collect();
            all.push(Seen { key, guid, values, at });
        }
        Ok(all)
    }

    /// The key of a row and its GUID.
    fn key(&self, exposed: &Exposed, read: &Row, keyed: bool) -> Result<(Option<Key>, Uuid), Refused> {
        let refused = |what: String| Refused::new(502, codes::ROW_UNFIT, what);
        let parts = self.key.iter().map(|at| read.values()[*at].as_ref());
        if !keyed
            && !parts.clone().any(|part| matches!(part, ValueRef::Reference(_)))
            && let Some(guid) = exposed.scheme.guid_of(parts)
        {
            return Ok((None, guid));
        }
        let name = &exposed.entity.name;
        let key = self.entity.key_of(read).map_err(|why| refused(format!("a row of `{name}` has no key: {why}")))?;
        match exposed.scheme.guid(&key) {
            Some(guid) => Ok((Some(key), guid)),
            None if is_personal(exposed) => Err(refused(format!("a key of `{name}` does not fit into a GUID"))),
            None => Err(refused(format!("the key `{key}` of `{name}` does not fit into a GUID"))),
        }
    }

    fn value(&self, read: &mut [Value], field: usize) -> Value {
        let Some(at) = self.places[field] else { return Value::Blank };
        match (std::mem::take(&mut read[at]), &self.entity.fields[at].ty) {
            (Value::Choice(name), _) => Value::Text(name),
            // Its name is the number.
            (Value::Int(number), Type::Choice { .. }) => Value::Text(number.to_string()),
            // Without a table of its own a reference is the text of its key.
            (other, _) => other,
        }
    }
}

/// The GUID of the row that a reference points to.
fn other(value: &Value, scheme: &Scheme) -> Value {
    let Value::Reference(reference) = value else { return Value::Blank };
    let key = Key::of(reference.key.iter().map(|(_, part)| part)).ok();
    key.and_then(|key| scheme.guid(&key)).map_or(Value::Blank, Value::Guid)
}

/// Whether a key is somebody's address or name, which no message holds.
fn is_personal(exposed: &Exposed) -> bool {
    let entity = &exposed.entity;
    entity.key.iter().any(|name| entity.field(name).is_some_and(|field| field.personal))
}

fn unfit(exposed: &Exposed, key: Option<String>, fault: Option<Fault>) -> Refused {
    let row = match key {
        None => "a row without a key".to_owned(),
        Some(_) if is_personal(exposed) => "a row".to_owned(),
        Some(key) => format!("the row `{key}`"),
    };
    let why = fault.as_ref().map(|fault| fault.what.clone()).unwrap_or_default();
    let message = format!("{row} of `{}` cannot be shown: {why}", exposed.integration);
    Refused { fault: fault.map(Box::new), ..Refused::new(502, codes::ROW_UNFIT, message) }
}
