//! Two everyday formulas over rows: a choice by code, and a name put together from two columns.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use powerfx::{Context, Expect, Scope, Slots, Type, Value, compile};
use std::hint::black_box;

struct Row {
    terms: &'static str,
    first: String,
    last: String,
}

/// As a mapping hands a row out: borrowed text, nothing copied.
impl Slots for Row {
    fn get(&self, slot: usize) -> Value<'_> {
        match slot {
            0 => Value::text(self.terms),
            1 => Value::text(&self.first),
            2 => Value::text(&self.last),
            _ => Value::Blank,
        }
    }
}

fn rows() -> Vec<Row> {
    let terms = ["30", "60", "PP", "99"];
    let row = |i: usize| Row { terms: terms[i % 4], first: format!(" First{i}"), last: format!("Last{i} ") };
    (0..1000).map(row).collect()
}

const SWITCH: [&str; 3] = [
    "Switch(terms_code, \"30\", \"net30\", \"60\", \"net60\", \"prepaid\")",
    "terms_code == '30' ? 'net30' : terms_code == '60' ? 'net60' : 'prepaid'",
    "{{ 'net30' if terms_code == '30' else 'net60' if terms_code == '60' else 'prepaid' }}",
];
const NAME: [&str; 3] = [
    "Trim(first & \" \" & Upper(last))",
    // CEL has no trim and no upper of its own; both are functions of the host here.
    "trim(first + ' ' + upper(last))",
    "{{ (first ~ ' ' ~ last|upper)|trim }}",
];

fn powerfx_over(c: &mut Criterion, group: &str, text: &str) {
    let rows = rows();
    let scope: Scope = [("terms_code", Type::Text), ("first", Type::Text), ("last", Type::Text)].into_iter().collect();
    let formula = compile(text, &scope, &Expect::Type(Type::Text)).expect("the formula is right");
    let context = Context::new(jiff::Timestamp::UNIX_EPOCH, jiff::tz::TimeZone::UTC);
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("powerfx", |b| {
        b.iter(|| {
            for row in &rows {
                black_box(formula.eval(row, &context));
            }
        });
    });
    group.finish();
}

fn cel_over(c: &mut Criterion, group: &str, text: &str) {
    let rows = rows();
    let program = cel::Program::compile(text).expect("the program is right");
    let mut context = cel::Context::default();
    context.add_function("trim", |s: std::sync::Arc<String>| s.trim().to_owned()).expect("a new name");
    context.add_function("upper", |s: std::sync::Arc<String>| s.to_uppercase()).expect("a new name");
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("cel", |b| {
        b.iter(|| {
            for row in &rows {
                let mut inner = context.new_inner_scope();
                inner.add_variable_from_value("terms_code", row.terms);
                inner.add_variable_from_value("first", row.first.as_str());
                inner.add_variable_from_value("last", row.last.as_str());
                black_box(program.execute(&inner).expect("the program runs"));
            }
        });
    });
    group.finish();
}

fn minijinja_over(c: &mut Criterion, group: &str, text: &str) {
    let rows = rows();
    let mut environment = minijinja::Environment::new();
    environment.add_template("t", text).expect("the template is right");
    let template = environment.get_template("t").expect("it was added");
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("minijinja", |b| {
        b.iter_batched(
            || (),
            |()| {
                for row in &rows {
                    let values =
                        minijinja::context! { terms_code => row.terms, first => &row.first, last => &row.last };
                    black_box(template.render(values).expect("the template renders"));
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    for (group, [ours, cel, jinja]) in [("switch", SWITCH), ("name", NAME)] {
        powerfx_over(c, group, ours);
        cel_over(c, group, cel);
        minijinja_over(c, group, jinja);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
