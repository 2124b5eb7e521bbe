//! People: they sign in and out, may do what their role says, and two of them do one thing at once.

use store::approvals::{ApprovalId, State};
use store::audit::{Actor, Filter};
use store::users::{Op, Role};
use web_console::accounts;

use super::window::Window;
use super::{DESK, Looks, PHONE, Walk};

const PASSWORD: &str = "a few words in a row";

fn signs_in(window: &Window<'_>, name: &str, password: &str) {
    window.write("input[name=name]", name);
    window.write("input[name=password]", password);
    window.click("button.primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_is_made_and_from_then_on_everybody_signs_in() {
    let Some(walk) = Walk::begin().await else { return };
    tokio::task::block_in_place(|| {
        let mut looks = Looks::begin();
        let window = Window::new(&walk.chromium, DESK);
        window.open(&walk.at("/users/add"));
        window.write("input[name=name]", "ola");
        window.write("input[name=password]", PASSWORD);
        window.click(".confirm button.primary");
        window.until("Sign in to contoso");
        looks.at(&window, "sign-in-desk");
        signs_in(&window, "ola", "wrong words in a row");
        window.until("do not fit");
        let _ = window.complaints();
        looks.at(&window, "sign-in-wrong-desk");
        signs_in(&window, "ola", PASSWORD);
        window.until("Sign out");
        for (name, path) in [("user", "/users/ola"), ("account-signed-in", "/account"), ("overview-signed-in", "/")] {
            for (size, (width, height)) in [("desk", DESK), ("phone", PHONE)] {
                window.size(width, height);
                window.open(&walk.at(path));
                looks.at(&window, &format!("{name}-{size}"));
            }
        }
        window.open(&walk.at("/account"));
        window.click(".who button");
        window.until("Sign in to contoso");
        window.open(&walk.at("/runs"));
        window.until("Sign in to contoso");
        looks.end("signing in");
    });
    assert_eq!(walk.bench.store.users().unwrap().len(), 1);
}

/// Two people decide about one question at the same moment: one of them does, and the other is told who was faster.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_decide_at_once_one_decides() {
    let Some(walk) = Walk::begin().await else { return };
    let (project, store) = (&walk.bench.console.project, &walk.bench.store);
    accounts::add(project, store, &Actor::new("test", "test"), "ada", Role::Admin, Some("controller"), PASSWORD)
        .await
        .unwrap();
    accounts::add(project, store, &Actor::new("test", "test"), "kim", Role::Approver, Some("cfo"), PASSWORD)
        .await
        .unwrap();
    tokio::task::block_in_place(|| {
        let both = [("ada", "approve"), ("kim", "reject")].map(|(name, what)| {
            let window = Window::new(&walk.chromium, DESK);
            window.open(&walk.at(&format!("/approvals/3/{what}")));
            signs_in(&window, name, PASSWORD);
            window.until("What follows from it");
            if what == "reject" {
                window.write("input[name=comment]", "too many");
            }
            window
        });
        let clicks = both.each_ref().map(|window| window.begin_click(".confirm button[type=submit]"));
        for (window, asked) in both.iter().zip(clicks) {
            asked.into_iter().for_each(|asked| window.done(asked));
        }
        for window in &both {
            window
                .until_true("document.body && /^(Approved\\.|Rejected\\.|.* was already decided by .*)/m.test(document.body.innerText)");
        }
        let texts = both.each_ref().map(|window| window.text());
        let late: Vec<&String> = texts.iter().filter(|text| text.contains("already")).collect();
        let approval = store.approval(ApprovalId(3)).unwrap().unwrap();
        assert_eq!(late.len(), 1, "{texts:#?}");
        let by = approval.decided_by.unwrap();
        assert!(late[0].contains(&format!("approval 3 was already decided by {by} on ")), "{}", late[0]);
        assert!(matches!(approval.state, State::Approved | State::Rejected));
        let audit = Filter { action: Some("approvals".into()), ..Filter::default() };
        let answers = store.audit(&audit, 10).unwrap();
        let about = |entry: &&store::audit::Recorded| entry.entry.detail.contains("\"approval\":3,");
        assert_eq!(answers.iter().filter(about).count(), 1, "{answers:?}");
    });
}

/// What somebody may not do is not offered, and not done for whoever knows its address.
#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_looks_and_does_nothing() {
    let Some(walk) = Walk::begin().await else { return };
    let (project, store) = (&walk.bench.console.project, &walk.bench.store);
    accounts::add(project, store, &Actor::new("test", "test"), "ada", Role::Admin, None, PASSWORD).await.unwrap();
    accounts::add(project, store, &Actor::new("test", "test"), "vic", Role::Viewer, None, PASSWORD).await.unwrap();
    tokio::task::block_in_place(|| {
        let window = Window::new(&walk.chromium, DESK);
        window.open(&walk.at("/integrations/customers"));
        signs_in(&window, "vic", PASSWORD);
        window.until("What is mapped how");
        let commands = window.read("[...document.querySelectorAll('a.command')].map(e => e.textContent)").unwrap();
        assert!(!commands.to_string().contains("Pause") && !commands.to_string().contains("Run now"), "{commands}");
        window.open(&walk.at("/integrations/customers/pause"));
        window.until("IB1053");
    });
    // Somebody takes a role away while a form is open.
    walk.bench.store.commit_one(Op::Role { name: "vic".into(), role: Role::Operator }).await.unwrap();
    tokio::task::block_in_place(|| {
        let window = Window::new(&walk.chromium, DESK);
        window.open(&walk.at("/integrations/customers/pause"));
        signs_in(&window, "vic", PASSWORD);
        window.write("input[name=note]", "why not");
        walk.now(walk.bench.store.commit_one(Op::Role { name: "vic".into(), role: Role::Viewer })).unwrap();
        window.click(".confirm button[type=submit]");
        window.until("IB1053");
        assert!(walk.bench.store.pauses().unwrap().is_empty());
    });
}
