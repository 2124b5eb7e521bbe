//! Users of the console and their sessions: what the store promises of them.

use std::time::Duration;

use store::users::{Op, Role};
use store::{OpResult, Refusal};

use crate::support::Bench;

const IDLE: Duration = Duration::from_secs(100);

fn add(name: &str) -> Op {
    Op::Add { name: name.into(), role: Role::Viewer, person: None, password: "hash".into() }
}

fn sign_in(user: &str, token: u8, instead_of: Option<u8>) -> Op {
    let length = Duration::from_secs(1000);
    Op::SignIn { user: user.into(), token: [token; 32], instead_of: instead_of.map(|token| [token; 32]), length }
}

#[test]
fn a_name_belongs_to_one_user_whatever_its_capitals() {
    let bench = Bench::new();
    assert!(!bench.store.has_users().unwrap());
    assert_eq!([add("mia"), add("ola")].map(|op| bench.one(op)), [1, 1].map(OpResult::Count));
    assert_eq!(bench.refusal(add("MIA")), Refusal::UserTaken { name: "MIA".into() });
    let names: Vec<String> = bench.store.users().unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["mia", "ola"]);
    assert_eq!(bench.store.user("Mia").unwrap().unwrap().role, Role::Viewer);
    assert_eq!(bench.one(Op::Role { name: "MIA".into(), role: Role::Admin }), OpResult::Count(1));
    assert_eq!(bench.store.user("mia").unwrap().unwrap().role, Role::Admin);
    let nobody = || "nobody".to_owned();
    for op in [
        Op::Remove { name: nobody() },
        Op::Role { name: nobody(), role: Role::Admin },
        Op::Password { name: nobody(), password: "hash".into() },
    ] {
        assert_eq!(bench.refusal(op), Refusal::NoUser { name: nobody() });
    }
}

#[test]
fn a_session_holds_until_something_ends_it() {
    let bench = Bench::new();
    bench.one(add("mia"));
    let holds = |token: u8| bench.store.session(&[token; 32], IDLE).unwrap().is_some();
    bench.one(sign_in("mia", 1, None));
    assert!(holds(1) && !holds(2));
    // Another sign-in of the same browser ends it.
    bench.one(sign_in("mia", 2, Some(1)));
    assert!(!holds(1) && holds(2));
    bench.one(Op::SignOut { token: [2; 32] });
    assert!(!holds(2));
    bench.one(sign_in("mia", 3, None));
    bench.one(Op::Password { name: "mia".into(), password: "other".into() });
    assert!(!holds(3));
    bench.one(sign_in("mia", 4, None));
    bench.one(Op::Remove { name: "mia".into() });
    assert!(!holds(4));
    // A user of the same name is somebody else.
    bench.one(add("mia"));
    assert!(!holds(4));
}
