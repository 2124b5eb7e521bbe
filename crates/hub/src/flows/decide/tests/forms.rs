//! What is filled in: at the start, and with an answer.

use serde_json::json;

use super::steps::Flow;
use super::*;

const FORM: &str = "  - approve: decision
    ask: =$\"Give {form.amount} for {form.reason}?\"
    of: { all_of: [ann, bob] }
    form:
      granted: { type: money, required: true, default: =form.amount, with: approved }
      why: { type: choice, values: [late, too_much], with: rejected }
    deadline: { after: 5 days, outcome: rejected }
  - if: =decision.outcome = \"approved\" && decision.granted < 8000
    then: [ { set: { requested: =decision.granted, outcome: =\"granted\" } } ]
    else: [ { set: { outcome: =decision.why & \"/\" & form.by } } ]
";
const TRIGGER: &str =
    "{ entity: request, in: a, form: { amount: { type: money, required: true }, reason: { type: text } } }";

fn begun(flow: &Flow, by: &str) -> State {
    let form = [("amount".to_owned(), json!(9000)), ("reason".to_owned(), json!("a reason"))].into();
    State { requester: Some(by.to_owned()), form, ..flow.begin() }
}

#[test]
fn what_was_filled_in_is_read_by_later_steps() {
    let flow = Flow::started("{ all_of: [ann, bob] }", TRIGGER, FORM);
    let record = flow.record(&[]);
    let first = flow.look(&begun(&flow, "eve"), Event::Go, &record, day(0)).unwrap();
    let Some(Effect::Ask { text, form, shown, .. }) = first.effects.first() else { panic!("{:?}", first.effects) };
    assert_eq!(text, "Give 9000.00 for a reason?");
    assert_eq!(
        (&form[0]["name"], &form[0]["default"], &form[1]["with"]),
        (&json!("granted"), &json!("9000.00"), &json!("rejected"))
    );
    assert_eq!(shown.get("form.amount"), Some(&Value::Decimal(9000.into())), "what was filled in is shown");
    let answer = |state: &State, by: &str, approve: bool, fields: serde_json::Value| {
        let fields = fields.as_object().unwrap().clone().into_iter().collect();
        let said = Said { filled: Some((&fields, "granted = …")), ..Said::default() };
        vote(state, "decision", by, approve, said, &flow.people, day(1)).unwrap()
    };
    let one = answer(&first.state, "ann", true, json!({ "granted": 9000 }));
    assert_eq!(one.note.what, "answered yes: granted = …");
    // The answer that decides is the one that counts.
    let both = answer(&one.state, "bob", true, json!({ "granted": 7000.50 }));
    let (_, wanted) = flow.run(both.state, &record, day(1));
    assert_eq!(wanted, ["close decision", "set 7000.50"]);
    let no = answer(&one.state, "bob", false, json!({ "why": "too_much" }));
    assert_eq!(flow.run(no.state, &record, day(1)).1, ["close decision", "set too_much/eve"]);
    // Nobody answered: nothing was filled in.
    assert_eq!(flow.run(first.state, &record, day(6)).1, ["close decision", "set /eve"]);
}

#[test]
fn whoever_asks_does_not_decide_unless_the_flow_says_so() {
    let asked = |of: &str, by: &str| {
        let flow = Flow::started(of, TRIGGER, FORM);
        let looked = flow.look(&begun(&flow, by), Event::Go, &flow.record(&[]), day(0));
        looked.map(|decided| match &decided.effects[0] {
            Effect::Ask { of, .. } => of.join(" "),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(asked("{ one_of: [group:credit] }", "ann").unwrap(), "bob eve");
    assert_eq!(asked("{ one_of: [group:credit] }", "ann@contoso.example").unwrap(), "bob eve", "by address too");
    assert_eq!(asked("{ one_of: [group:credit] }", "director").unwrap(), "ann bob eve");
    // The record says who asks: `eve`, as the record of these tests does.
    assert_eq!(asked("{ one_of: [group:credit], not: =requested_by }", "ann").unwrap(), "ann bob");
    assert_eq!(asked("{ one_of: [group:credit], not: =Blank() }", "ann").unwrap(), "ann bob eve");
    assert_eq!(asked("{ one_of: [ann] }", "ann").unwrap_err().fault.code, codes::NOBODY_DECIDES);
}
