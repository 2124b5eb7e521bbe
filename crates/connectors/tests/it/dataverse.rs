//! Dataverse as a source and as a destination, against the emulator, over the wire.

mod create;

use std::sync::Arc;

use emulator::dataverse::{Config, Handle, start};
use record::{
    Change, Effect, Effected, Key, Now, Op, OptionValue, Options, Outcome, ReadKind, ReadSpec, Reference, Row, Schema,
    Sink, System, Type, Value, WriteSpec,
};

async fn environment(faults: &str) -> Handle {
    start(Config { token: Some("local".into()), faults: faults.into(), ..Config::default() }).await.unwrap()
}

/// What goes wrong from now on.
async fn set_faults(handle: &Handle, faults: &str) {
    let url = format!("{}/emulator/fault", handle.url);
    let answer = reqwest::Client::new().post(url).body(faults.to_owned()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

fn options(pairs: &[(&str, &str)]) -> Options {
    Options(pairs.iter().map(|(k, v)| ((*k).to_owned(), OptionValue::Text((*v).to_owned()))).collect())
}

fn system(handle: &Handle) -> Arc<dyn System> {
    let mut options = options(&[("url", &handle.url), ("token", "local")]);
    options.0.insert("batch_rows".into(), OptionValue::Number(10.into()));
    (connectors::registry::find("dataverse").unwrap().open)("dynamics", options).unwrap()
}

fn accounts(system: &Arc<dyn System>) -> Arc<dyn Sink> {
    system.sink(write("account", "accountnumber")).unwrap()
}

fn write(table: &str, key: &str) -> WriteSpec {
    WriteSpec {
        table: table.into(),
        key: vec![key.into()],
        columns: vec![],
        time_zone: None,
        fields: Vec::new(),
        lines: Vec::new(),
        options: Options::default(),
    }
}

fn read(table: &str, columns: &[&str]) -> ReadSpec {
    ReadSpec {
        table: table.into(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        declared: Vec::new(),
        watermark: None,
        key: vec![columns[0].into()],
        rows_per_batch: 4,
        time_zone: None,
        fields: Vec::new(),
        options: Options::default(),
    }
}

fn change(op: Op, key: &str, columns: &[(&str, Value)]) -> Change {
    let schema = Schema::of(columns.iter().map(|(name, _)| (*name, Type::Unknown)));
    Change {
        op,
        key: Key::of(&[Value::text(key)]).unwrap(),
        columns: Row::new(schema, columns.iter().map(|(_, value)| value.clone()).collect()),
        remote_id: None,
        if_version: None,
    }
}

fn named(key: &str) -> Change {
    change(Op::Upsert, key, &[("name", Value::text(format!("Customer {key}")))])
}

fn effects(outcomes: &[Outcome]) -> Vec<Result<Effected, &'static str>> {
    outcomes.iter().map(|o| o.as_ref().map(|w| w.effect).map_err(|f| f.code.0)).collect()
}

fn money(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

fn to(table: &str, column: &str, value: &str) -> Value {
    Value::Reference(Box::new(Reference { of: table.into(), key: vec![(column.into(), Value::text(value))] }))
}

use Effected::{Created, Deleted, Unchanged, Updated};

#[tokio::test]
async fn rows_are_created_then_updated_and_each_has_its_own_outcome() {
    let handle = environment("").await;
    let sink = accounts(&system(&handle));
    let chunk: Vec<Change> = (1..=25).map(|i| named(&format!("C-{i:02}"))).collect();
    let first = sink.apply(&chunk).await.unwrap();
    assert!(
        first.iter().all(|o| matches!(o, Ok(w) if w.effect == Created && w.remote_id.is_some() && w.version.is_some())),
        "{first:?}"
    );

    let mixed = [
        change(
            Op::Upsert,
            "C-01",
            &[("creditlimit", money("5000.25")), ("paymenttermscode", Value::Choice("1".into()))],
        ),
        change(Op::Upsert, "C-02", &[("name", Value::text("x".repeat(161)))]),
        change(Op::Upsert, "C-99", &[("name", Value::text("Zoë & Söhne \"quoted\" 'n' /"))]),
        change(Op::Upsert, "C-03", &[("paymenttermscode", Value::Choice("77".into()))]),
        change(Op::Upsert, "C-04", &[("creditlimit", Value::text("much"))]),
        change(Op::Delete, "C-05", &[]),
        change(Op::Delete, "C-nope", &[]),
    ];
    let outcomes = sink.apply(&mixed).await.unwrap();
    let expected = [Ok(Updated), Err("IB0512"), Ok(Created), Err("IB0512"), Err("IB0512"), Ok(Deleted), Ok(Unchanged)];
    assert_eq!(effects(&outcomes), expected);
    let fault = outcomes[1].as_ref().unwrap_err();
    assert_eq!(
        (fault.now, fault.place.key.as_deref(), fault.place.table.as_deref()),
        (Now::Reject, Some("C-02"), Some("account"))
    );
    assert_eq!(fault.why.as_ref().unwrap().code.as_deref(), Some("0x80044331"));

    let keys: Vec<Key> = ["c-01", "C-05", "C-99"].iter().map(|k| Key::of(&[Value::text(*k)]).unwrap()).collect();
    let columns = ["creditlimit".to_owned(), "name".into(), "paymenttermscode".into()];
    let now = sink.current(&keys, &columns).await.unwrap();
    let found = now[0].as_ref().unwrap();
    assert_eq!(found.columns.values(), [money("5000.25"), Value::text("Customer C-01"), Value::Choice("1".into())]);
    assert_eq!(found.remote_id, first[0].as_ref().unwrap().remote_id);
    assert!(now[1].is_none());
    assert_eq!(now[2].as_ref().unwrap().columns.values()[1], Value::text("Zoë & Söhne \"quoted\" 'n' /"));
    handle.shutdown().await;
}

#[tokio::test]
async fn a_key_that_no_url_can_hold_still_names_one_row() {
    let handle = environment("").await;
    let sink = accounts(&system(&handle));
    let chunk = ["A/1", "B&C", "100%", "O'Brien", "a:b?c+d", "Zoë"].map(named);
    assert_eq!(effects(&sink.apply(&chunk).await.unwrap()), [Ok(Created); 6]);
    assert_eq!(effects(&sink.apply(&chunk).await.unwrap()), [Ok(Updated); 6]);
    let keys: Vec<Key> = chunk.iter().map(|c| c.key.clone()).collect();
    let now = sink.current(&keys, &["accountnumber".to_owned()]).await.unwrap();
    assert!(now.iter().zip(&keys).all(|(row, key)| row.as_ref().unwrap().columns.values()[0] == key.parts()[0]));
    let deletes: Vec<Change> = ["A/1", "100%"].map(|k| change(Op::Delete, k, &[])).into();
    assert_eq!(effects(&sink.apply(&deletes).await.unwrap()), [Ok(Deleted); 2]);
    assert_eq!(effects(&sink.apply(&deletes).await.unwrap()), [Ok(Unchanged); 2]);
    handle.shutdown().await;
}

#[tokio::test]
async fn lookups_are_bound_by_the_other_tables_key() {
    let handle = environment("").await;
    let system = system(&handle);
    let sink = accounts(&system);
    let parent = |value: Value| [("parentaccountid", value)];
    sink.apply(&[named("P-1"), named("P/2")]).await.unwrap();
    let chunk = [
        change(Op::Upsert, "C-1", &parent(to("account", "accountnumber", "P-1"))),
        change(Op::Upsert, "C-2", &parent(to("account", "accountnumber", "P/2"))),
        change(Op::Upsert, "C-3", &parent(to("account", "accountnumber", "nobody"))),
        change(Op::Upsert, "C-4", &parent(to("account", "name", "Customer P-1"))),
        change(Op::Upsert, "C-5", &parent(to("account", "name", "nobody"))),
        change(Op::Upsert, "C-6", &parent(to("contact", "new_number", "1"))),
        change(Op::Upsert, "C-7", &[("ownerid", to("team", "name", "Sales UK"))]),
    ];
    let outcomes = sink.apply(&chunk).await.unwrap();
    assert_eq!(
        effects(&outcomes)[..6],
        [Ok(Created), Ok(Created), Err("IB0515"), Ok(Created), Err("IB0515"), Err("IB0512")]
    );
    let contacts = system.sink(write("contact", "new_number")).unwrap();
    let person = |to: Value| change(Op::Upsert, "1", &[("lastname", Value::text("Sample")), ("parentcustomerid", to)]);
    let bound = contacts.apply(&[person(to("account", "accountnumber", "P-1"))]).await.unwrap();
    assert_eq!(effects(&bound), [Ok(Created)], "{bound:?}");

    let keys = |list: &[&str]| -> Vec<Key> { list.iter().map(|k| Key::of(&[Value::text(*k)]).unwrap()).collect() };
    let now = sink.current(&keys(&["C-2"]), &["parentaccountid".into(), "parentaccountid.name".into()]).await.unwrap();
    let values = now[0].as_ref().unwrap().columns.values();
    assert_eq!(values, [to("account", "accountnumber", "P/2"), Value::text("Customer P/2")]);
    let now = contacts.current(&keys(&["1"]), &["parentcustomerid".into()]).await.unwrap();
    assert_eq!(now[0].as_ref().unwrap().columns.values(), [to("account", "accountnumber", "P-1")]);

    let cleared = sink.apply(&[change(Op::Upsert, "C-1", &parent(Value::Blank))]).await.unwrap();
    assert_eq!(effects(&cleared), [Ok(Updated)], "{cleared:?}");
    let now = sink.current(&keys(&["C-1"]), &["parentaccountid".into()]).await.unwrap();
    assert_eq!(now[0].as_ref().unwrap().columns.values(), [Value::Blank]);
    handle.shutdown().await;
}

#[tokio::test]
async fn a_row_can_be_deactivated_in_the_same_write() {
    let handle = environment("").await;
    let sink = accounts(&system(&handle));
    let inactive = [("statecode", Value::Int(1)), ("statuscode", Value::Int(2)), ("name", Value::text("Gone"))];
    let outcomes = sink.apply(&[change(Op::Upsert, "C-1", &inactive)]).await.unwrap();
    assert_eq!(effects(&outcomes), [Ok(Created)], "{outcomes:?}");
    let key = [Key::of(&[Value::text("C-1")]).unwrap()];
    let now = sink.current(&key, &["statecode".into(), "name".into()]).await.unwrap();
    assert_eq!(now[0].as_ref().unwrap().columns.values(), [Value::Choice("1".into()), Value::text("Gone")]);
    handle.shutdown().await;
}

#[tokio::test]
async fn a_write_only_at_a_version_is_refused_at_another() {
    let handle = environment("").await;
    let sink = accounts(&system(&handle));
    let first = sink.apply(&[named("C-1")]).await.unwrap();
    let version = first[0].as_ref().unwrap().version.clone();
    let mut second = change(Op::Upsert, "C-1", &[("name", Value::text("other"))]);
    second.if_version = version;
    assert_eq!(effects(&sink.apply(std::slice::from_ref(&second)).await.unwrap()), [Ok(Updated)]);
    second.columns = Row::new(second.columns.schema().clone(), vec![Value::text("third")]);
    let refused = sink.apply(&[second]).await.unwrap();
    assert_eq!(effects(&refused), [Err("IB0511")]);
    handle.shutdown().await;
}

#[tokio::test]
async fn bad_days_are_told_and_lose_nothing() {
    let check = async |faults: &str, code: &str, effect: Effect| {
        let handle = environment("").await;
        let sink = accounts(&system(&handle));
        sink.apply(&[named("warm-up")]).await.unwrap();
        set_faults(&handle, faults).await;
        let chunk: Vec<Change> = (1..=5).map(|i| named(&format!("C-{i}"))).collect();
        let fault = sink.apply(&chunk).await.unwrap_err();
        assert_eq!((fault.code.0, fault.effect), (code, effect), "{faults}: {fault}");
        assert!(fault.is_transient() && fault.place.system.as_deref() == Some("dynamics") && !fault.fix.is_empty());
        set_faults(&handle, "").await;
        // Where the service asked for a wait, the client keeps quiet by itself.
        if let Now::RetryAfter(Some(wait)) = fault.now {
            assert_eq!(sink.apply(&chunk).await.unwrap_err().code.0, "IB0507");
            tokio::time::sleep(wait).await;
        }
        let again = sink.apply(&chunk).await.unwrap();
        assert!(again.iter().all(|o| o.is_ok()), "{faults}: {again:?}");
        handle.shutdown().await;
    };
    check("429:1s@100%", "IB0507", Effect::None).await;
    check("503@100%", "IB0508", Effect::None).await;
    check("drop@100%", "IB0509", Effect::Unknown).await;
    check("cut@100%", "IB0509", Effect::Unknown).await;
}

#[tokio::test]
async fn half_an_answer_settles_its_rows_and_the_rest_is_sent_again() {
    let handle = environment("").await;
    let sink = accounts(&system(&handle));
    sink.apply(&[named("warm-up")]).await.unwrap();
    set_faults(&handle, "half-batch@100%").await;
    let chunk: Vec<Change> = (1..=8).map(|i| named(&format!("C-{i}"))).collect();
    let outcomes = sink.apply(&chunk).await.unwrap();
    let (done, open): (Vec<_>, Vec<_>) = outcomes.iter().partition(|o| o.is_ok());
    assert!(!done.is_empty() && !open.is_empty(), "{outcomes:?}");
    for fault in open.iter().map(|o| o.as_ref().unwrap_err()) {
        assert_eq!((fault.code.0, fault.now, fault.effect), ("IB0509", Now::RetryAfter(None), Effect::Unknown));
    }
    set_faults(&handle, "").await;
    assert!(effects(&sink.apply(&chunk).await.unwrap()).iter().all(|e| *e == Ok(Updated)));
    handle.shutdown().await;
}

#[tokio::test]
async fn what_a_person_must_change_is_named() {
    let handle = environment("").await;
    let open = |pairs: &[(&str, &str)]| {
        (connectors::registry::find("dataverse").unwrap().open)("dynamics", options(pairs)).unwrap()
    };
    let fault = |result: Result<Vec<Outcome>, record::Fault>| {
        let fault = result.unwrap_err();
        (fault.code.0, fault.now)
    };
    let wrong = open(&[("url", &handle.url), ("token", "wrong")]);
    assert_eq!(fault(accounts(&wrong).apply(&[named("C-1")]).await), ("IB0502", Now::AskPerson));
    assert_eq!(wrong.check().await.unwrap_err().code.0, "IB0502");
    let nowhere = open(&[("url", "http://127.0.0.1:9"), ("token", "local")]);
    assert_eq!(fault(accounts(&nowhere).apply(&[named("C-1")]).await), ("IB0501", Now::RetryAfter(None)));
    let good = system(&handle);
    assert_eq!(
        fault(good.sink(write("acount", "accountnumber")).unwrap().apply(&[named("1")]).await),
        ("IB0504", Now::AskPerson)
    );
    assert_eq!(
        fault(good.sink(write("account", "name")).unwrap().apply(&[named("1")]).await),
        ("IB0506", Now::AskPerson)
    );
    let outcomes = accounts(&good).apply(&[change(Op::Upsert, "1", &[("nmae", Value::text("x"))])]).await.unwrap();
    assert_eq!(effects(&outcomes), [Err("IB0505")]);
    assert_eq!(outcomes[0].as_ref().unwrap_err().place.column.as_deref(), Some("nmae"));
    let health = good.check().await.unwrap();
    assert!(health.user.is_some() && health.version.starts_with("Dataverse"));
    handle.shutdown().await;
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_renewed_when_it_is_refused() {
    let clients = vec![emulator::dataverse::Client { id: "app".into(), secret: "s3cret".into() }];
    let handle = start(Config { clients, token: Some("unused".into()), ..Config::default() }).await.unwrap();
    let open = |secret: &str| {
        let pairs = [
            ("url", &*handle.url),
            ("authority", &*handle.url),
            ("tenant", "contoso"),
            ("client_id", "app"),
            ("client_secret", secret),
        ];
        (connectors::registry::find("dataverse").unwrap().open)("dynamics", options(&pairs)).unwrap()
    };
    assert!(open("s3cret").check().await.unwrap().user.is_some());
    let fault = open("wrong").check().await.unwrap_err();
    assert_eq!((fault.code.0, fault.now), ("IB0502", Now::AskPerson));
    assert!(!format!("{fault:?}").contains("wrong"));
    handle.shutdown().await;
}

#[tokio::test]
async fn the_catalogue_has_types_lengths_choices_lookups_and_keys() {
    let handle = environment("").await;
    let catalog = system(&handle).catalog(&["account", "nothing", "contact"]).await.unwrap();
    assert_eq!(catalog.tables.len(), 2);
    let account = catalog.table("account").unwrap();
    assert_eq!(account.type_of("name"), Some(&Type::Text { max_length: Some(160) }));
    assert_eq!(account.type_of("creditlimit"), Some(&Type::Decimal { scale: Some(2) }), "money of its own precision");
    assert!(
        matches!(account.type_of("paymenttermscode"), Some(Type::Choice { values }) if values.contains(&"10".to_owned()))
    );
    assert!(
        matches!(account.type_of("parentaccountid"), Some(Type::Reference { to }) if **to == ["account".to_owned()])
    );
    assert!(account.column("name").unwrap().required && !account.column("accountnumber").unwrap().required);
    assert!(account.keys.iter().any(|k| k.columns == ["accountnumber"] && k.active && !k.primary));
    assert_eq!(catalog.table("contact").unwrap().type_of("birthdate"), Some(&Type::Date));
    handle.shutdown().await;
}

#[tokio::test]
async fn rows_are_read_whole_and_then_only_what_changed() {
    let handle = environment("").await;
    let system = system(&handle);
    let sink = accounts(&system);
    sink.apply(&(1..=10).map(|i| named(&format!("C-{i:02}"))).collect::<Vec<_>>()).await.unwrap();
    let source = system.source(read("account", &["accountnumber", "name", "parentaccountid.accountnumber"])).unwrap();
    let whole = pages(&*source, None).await;
    assert_eq!(whole.kind, ReadKind::Full { why: None });
    assert_eq!(whole.keys.iter().flatten().count(), 10);
    assert!(whole.keys.iter().all(|page| page.len() <= 4));
    // A read that was cut goes on after the page that was done.
    let rest = pages(&*source, whole.cursors[0].as_deref()).await;
    assert_eq!(rest.keys, whole.keys[1..]);

    sink.apply(&[
        change(Op::Upsert, "C-03", &[("parentaccountid", to("account", "accountnumber", "C-01"))]),
        change(Op::Delete, "C-07", &[]),
        named("C-11"),
    ])
    .await
    .unwrap();
    let cursor = whole.cursors.last().unwrap().as_deref();
    let changed = pages(&*source, cursor).await;
    assert_eq!(changed.kind, ReadKind::Changes);
    let mut keys: Vec<String> = changed.keys.concat();
    keys.sort();
    assert_eq!(keys, ["C-03", "C-11"]);
    assert_eq!(changed.deleted.len(), 1);
    assert_eq!(changed.last_column.iter().filter(|v| *v == "C-01").count(), 1);
    let nothing = pages(&*source, changed.cursors.last().unwrap().as_deref()).await;
    assert_eq!((nothing.keys.concat().len(), nothing.deleted.len()), (0, 0));

    let kept = cursor.unwrap();
    let (_, after) = kept.split_once("$deltatoken=").unwrap();
    let broken = kept.replace(after, "rubbish");
    let lost = pages(&*source, Some(&broken)).await;
    assert!(matches!(&lost.kind, ReadKind::Full { why: Some(why) } if why.contains("deltatoken")), "{:?}", lost.kind);
    let other = system.source(read("account", &["accountnumber"])).unwrap();
    let lost = pages(&*other, Some(kept)).await;
    assert!(matches!(&lost.kind, ReadKind::Full { why: Some(why) } if why.contains("columns")), "{:?}", lost.kind);
    let lost = pages(
        &*source,
        Some("since accountid,accountnumber,_parentaccountid_value,name accounts?$select=name&$deltatoken=rubbish"),
    )
    .await;
    assert!(matches!(lost.kind, ReadKind::Full { why: Some(_) }), "{:?}", lost.kind);
    let got = source.get(&["C-03", "none"].map(|k| Key::of(&[Value::text(k)]).unwrap())).await.unwrap();
    assert_eq!(got[0].as_ref().unwrap().values()[2], Value::text("C-01"));
    assert!(got[1].is_none());
    handle.shutdown().await;
}

struct Done {
    kind: ReadKind,
    keys: Vec<Vec<String>>,
    last_column: Vec<String>,
    cursors: Vec<Option<String>>,
    deleted: Vec<Arc<str>>,
}

async fn pages(source: &dyn record::Source, cursor: Option<&str>) -> Done {
    let mut reader = source.read(cursor).await.unwrap();
    let mut done = Done { kind: reader.kind(), keys: vec![], last_column: vec![], cursors: vec![], deleted: vec![] };
    while let Some(page) = reader.next().await.unwrap() {
        assert!(page.unreadable.is_empty());
        let last = page.batch.schema().len() - 1;
        done.keys.push(page.batch.rows().map(|row| row.at(0).to_string()).collect());
        done.last_column.extend(page.batch.rows().map(|row| row.at(last).to_string()));
        done.cursors.push(page.cursor);
        done.deleted.extend(page.deleted);
    }
    done
}

/// Whatever is dropped, cut, half answered or refused on the way: repeating what is open ends with each row there once.
#[tokio::test]
async fn on_a_bad_day_every_row_arrives_once() {
    let handle = environment("").await;
    let sink = accounts(&system(&handle));
    sink.apply(&[named("warm-up")]).await.unwrap();
    set_faults(&handle, "429:0s@10%,500@10%,drop@15%,cut@10%,half-batch@20%").await;
    // Some keys can be in no URL, so that looking for them fails on the way too.
    let key = |i: usize| if i.is_multiple_of(7) { format!("K/{i}") } else { format!("K-{i}") };
    let mut open: Vec<Change> = (0..120).map(|i| named(&key(i))).collect();
    let mut rounds = 0;
    while !open.is_empty() {
        rounds += 1;
        assert!(rounds < 200, "{} rows never arrive", open.len());
        match sink.apply(&open).await {
            Err(fault) => assert!(fault.is_transient(), "{fault:?}"),
            Ok(outcomes) => {
                assert_eq!(outcomes.len(), open.len());
                let mut left = Vec::new();
                for (outcome, change) in outcomes.into_iter().zip(open) {
                    match outcome {
                        Ok(_) => {}
                        Err(fault) => {
                            assert!(fault.is_transient(), "{fault:?}");
                            left.push(change);
                        }
                    }
                }
                open = left;
            }
        }
    }
    set_faults(&handle, "").await;
    let source = system(&handle).source(read("account", &["accountnumber", "name"])).unwrap();
    let mut found: Vec<String> = pages(&*source, None).await.keys.concat();
    found.retain(|key| key.starts_with('K'));
    found.sort();
    let mut expected: Vec<String> = (0..120).map(key).collect();
    expected.sort();
    assert_eq!(found, expected);
    handle.shutdown().await;
}
