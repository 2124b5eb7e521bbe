use super::*;

struct Plain;

impl Dialect for Plain {
    fn column(&self, name: &str, _: &Type) -> String {
        format!("t.{}", crate::sql::quote(name))
    }
    fn returned(&self, name: &str, ty: &Type) -> String {
        self.column(name, ty)
    }
    fn param(&self, number: usize, _: &Value) -> String {
        format!("?{number}")
    }
    fn call(&self, function: Function, parts: &[String], _: &[Sort]) -> String {
        format!("{}({})", function.name(), parts.join(", "))
    }
    fn same(&self, left: &str, right: &str) -> String {
        format!("{left} IS {right}")
    }
    fn truth(&self, yes: bool) -> &'static str {
        if yes { "TRUE" } else { "FALSE" }
    }
    fn holds(&self, column: &str) -> String {
        column.to_owned()
    }
    fn order(&self, by: &str, descending: bool, _: Option<&str>) -> String {
        format!("{by}{}", if descending { " DESC" } else { "" })
    }
}

fn check(expr: Expr, expected: &str) {
    let schema = Schema::of([("a\"b", Type::WholeNumber), ("n", Type::Text { max_length: None }), ("y", Type::YesNo)]);
    assert!(accepts(&expr, &schema));
    let query = Query { filter: Some(expr), limit: 5, ..Query::default() };
    let statements = write(&Plain, "x AS t", &schema, &query);
    let sql = statements.rows.split(" WHERE ").nth(1).unwrap().trim_end_matches(" LIMIT 5");
    assert_eq!(sql, expected);
}

#[test]
fn nulls_are_where_the_question_has_them() {
    let a = || Box::new(Expr::column("a\"b"));
    let compare = |op, value: Value| Expr::Compare(op, a(), Box::new(Expr::Value(value)));
    let not = |expr| Expr::Not(Box::new(expr));
    check(compare(Comparison::Equal, Value::Int(1)), "t.\"a\"\"b\" = ?1");
    check(compare(Comparison::NotEqual, Value::Int(1)), "(t.\"a\"\"b\" <> ?1 OR t.\"a\"\"b\" IS NULL)");
    check(not(compare(Comparison::Equal, Value::Int(1))), "(t.\"a\"\"b\" <> ?1 OR t.\"a\"\"b\" IS NULL)");
    check(not(compare(Comparison::Greater, Value::Int(1))), "(t.\"a\"\"b\" <= ?1 OR t.\"a\"\"b\" IS NULL)");
    check(compare(Comparison::Equal, Value::Blank), "t.\"a\"\"b\" IS NULL");
    check(not(compare(Comparison::Less, Value::Blank)), "1 = 1");
    check(not(Expr::In(a(), vec![Value::Int(1)])), "(t.\"a\"\"b\" NOT IN (?1) OR t.\"a\"\"b\" IS NULL)");
    check(Expr::In(a(), vec![]), "1 = 0");
    check(not(Expr::column("y")), "NOT (t.\"y\")");
    let contains = Expr::Call(Function::Contains, vec![Expr::column("n"), Expr::Value("'; --".into())]);
    check(not(contains.clone()), "NOT (contains(t.\"n\", ?1))");
    check(Expr::equal(contains, Value::Bool(true)), "contains(t.\"n\", ?1) = ?2");
    check(
        not(Expr::And(vec![compare(Comparison::Equal, Value::Int(1)), Expr::column("y")])),
        "((t.\"a\"\"b\" <> ?1 OR t.\"a\"\"b\" IS NULL) OR NOT (t.\"y\"))",
    );
    check(
        Expr::equal(compare(Comparison::Less, Value::Int(1)), Value::Bool(false)),
        "CASE WHEN t.\"a\"\"b\" < ?1 THEN TRUE ELSE FALSE END = ?2",
    );
}

#[test]
fn a_long_chain_stays_shallow() {
    let each = (0..4_000).map(|n| Expr::equal(Expr::column("a\"b"), Value::Int(n))).collect();
    let schema = Schema::of([("a\"b", Type::WholeNumber)]);
    let query = Query { filter: Some(Expr::Or(each)), limit: 1, ..Query::default() };
    let sql = write(&Plain, "x AS t", &schema, &query).rows;
    let depth = sql.chars().fold((0i32, 0i32), |(now, most), c| match c {
        '(' => (now + 1, most.max(now + 1)),
        ')' => (now - 1, most),
        _ => (now, most),
    });
    assert!(depth.1 < 20, "{} deep", depth.1);
}
