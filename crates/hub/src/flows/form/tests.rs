use super::*;

fn field(name: &str, ty: Type) -> FormField {
    let (name, label) = (name.to_owned(), name.to_owned());
    FormField { name, label, ty, required: false, personal: false, currency: None, default: None, with: With::Either }
}

#[test]
fn each_type_takes_what_people_write_and_says_what_is_wrong_with_the_rest() {
    let zone = TimeZone::get("Europe/London").unwrap();
    let check = |ty: Type, text: &str, expected: Result<&str, &str>| {
        let given = [("f".to_owned(), text.to_owned())];
        let taken = take(&[field("f", ty.clone())], &given, None, &zone);
        let said = taken.map(|filled| filled.get("f").map_or("-".to_owned(), ToString::to_string));
        let said = said.map_err(|wrong| wrong[0].why.clone());
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(said, expected, "{ty:?} from {text:?}");
    };
    let choice = || Type::Choice { values: ["new".to_owned(), "more".to_owned()].into_iter().collect() };
    check(Type::Money, " 1250.50 ", Ok("1250.50"));
    check(Type::Money, "0.1000", Ok("0.10"));
    check(Type::Money, "1,250.50", Err("`1,250.50` is no amount; write it like 1250.50"));
    check(Type::Money, "12.123456", Err("it is 12.123456, which has more than 4 digits after the point"));
    check(Type::WholeNumber, "12", Ok("12"));
    check(Type::WholeNumber, "12.5", Err("it is 12.5, which is not whole"));
    check(Type::WholeNumber, "a dozen", Err("`a dozen` is no whole number; write it like 12"));
    check(Type::Date, "2028-02-29", Ok("\"2028-02-29\""));
    check(Type::Date, "2027-02-29", Err("`2027-02-29` is no date; write it like 2026-03-31"));
    check(Type::DateTime, "2026-07-01T09:30", Ok("\"2026-07-01T08:30:00Z\""));
    check(Type::YesNo, "yes", Ok("true"));
    check(Type::YesNo, "No", Ok("false"));
    check(Type::YesNo, "perhaps", Err("`perhaps` is neither `yes` nor `no`"));
    check(choice(), "more", Ok("\"more\""));
    check(choice(), "More", Err("`More` is none of: new, more"));
    check(Type::Text { max_length: Some(3) }, "four", Err("it has 4 characters, and at most 3 fit"));
    check(
        Type::Text { max_length: None },
        "a\nb",
        Err("it holds characters that nobody can read, such as a line break"),
    );
    check(Type::Multiline { max_length: None }, "a\r\nb", Ok("\"a\\nb\""));
    check(Type::Money, "  ", Ok("-"));
}

#[test]
fn what_is_missing_too_much_or_for_the_other_answer_is_told() {
    let zone = TimeZone::UTC;
    let mut granted = field("granted", Type::Money);
    (granted.required, granted.with) = (true, With::Approved);
    let fields = [granted, field("note", Type::Text { max_length: None })];
    let given = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let wrong = |pairs: &[(&str, &str)], answer| -> Vec<String> {
        let wrong = take(&fields, &given(pairs), Some(answer), &zone).err().unwrap_or_default();
        wrong.into_iter().map(|wrong| format!("{}: {}", wrong.field, wrong.why)).collect()
    };
    assert_eq!(wrong(&[], true), ["granted: it has to be filled in"]);
    assert_eq!(wrong(&[], false), [""; 0]);
    assert_eq!(wrong(&[("granted", "5")], false), ["granted: it is filled in with the answer `approved` only"]);
    let other = wrong(&[("granted", "5"), ("grant", "5")], true);
    assert_eq!(other, ["grant: the form has no such field; it has: granted, note"]);
    let filled = take(&fields, &given(&[("granted", "5"), ("note", "so")]), Some(true), &zone).unwrap();
    assert_eq!(told(&fields, &filled, &zone), "granted = 5.00, note = so");
}

#[test]
fn what_a_question_keeps_of_a_form_is_the_form() {
    let choice = Type::Choice { values: ["a".to_owned()].into_iter().collect() };
    let reference = Type::Reference { to: ["customer".to_owned()].into_iter().collect() };
    let types = [Type::Text { max_length: Some(7) }, Type::Decimal { scale: Some(3) }, Type::Money, choice, reference];
    let fields: Vec<FormField> = types.into_iter().map(|ty| field("f", ty)).collect();
    let kept = kept(&fields, &[Value::text("x"), Value::Blank], &[Value::Blank, Value::Blank, Value::text("JPY")]);
    let asked = asked(&kept);
    let mut expected = fields;
    expected[2].currency = Some(Given::Fixed(Value::text("JPY")));
    assert_eq!(asked.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(asked[0].1, "x");
    assert_eq!(super::asked(&Json::Null), []);
}

#[test]
fn an_amount_has_its_currency_and_the_digits_of_it() {
    let zone = TimeZone::UTC;
    let check = |code: &str, text: &str, expected: Result<&str, &str>| {
        let field = FormField { currency: Some(Given::Fixed(Value::text(code))), ..field("f", Type::Money) };
        let taken = take(std::slice::from_ref(&field), &[("f".to_owned(), text.to_owned())], None, &zone);
        let said = taken.map(|filled| told(&[field], &filled, &zone)).map_err(|wrong| wrong[0].why.clone());
        assert_eq!(said, expected.map(str::to_owned).map_err(str::to_owned), "{text} {code}");
    };
    check("GBP", "8500.5", Ok("f = 8500.50 GBP"));
    check("JPY", "8500", Ok("f = 8500 JPY"));
    check("JPY", "8500.00", Ok("f = 8500 JPY"));
    check("KWD", "1.5", Ok("f = 1.500 KWD"));
    check("JPY", "8500.5", Err("it is 8500.5, and JPY has no digits after the point"));
    check("GBP", "1.005", Err("it is 1.005, and GBP has 2 digits after the point"));
    check("JPY", "much", Err("`much` is no amount; write it like 1250"));
    check("KWD", "much", Err("`much` is no amount; write it like 1250.500"));
}

#[test]
fn times_are_read_as_clocks_show_them_and_the_zone_is_named() {
    let check = |zone: &str, value: Json, expected: &str| {
        assert_eq!(spoken_in(&value, &TimeZone::get(zone).unwrap()), expected, "{value}");
    };
    check("Europe/London", json!("2026-07-01T08:30:00Z"), "2026-07-01 09:30 (Europe/London)");
    check("America/New_York", json!("2026-01-01T02:30:05.250Z"), "2025-12-31 21:30:05 (America/New_York)");
    // A date has no zone, and a text that looks much like a time stays what it is.
    check("Europe/London", json!("2026-07-01"), "2026-07-01");
    check("Europe/London", json!("2026-99-01T08:30:00Z"), "2026-99-01T08:30:00Z");
    let lines = json!([{ "line": 1, "due": "2026-07-01T08:30:00Z" }]);
    check("Europe/London", lines, "line 1, due 2026-07-01 09:30 (Europe/London)");
    assert_eq!(zone_name(&TimeZone::fixed(jiff::tz::offset(-3))), "UTC-03:00");
}
