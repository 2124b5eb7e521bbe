//! What somebody does in the moment between a look at a row and the write of what differs there.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::services::in_front_of;
use crate::support::{World, http};

#[test]
fn a_row_that_is_deleted_just_before_it_is_changed_comes_back_whole() {
    let world = World::new(20);
    world.sql("UPDATE customers SET contact_email = 'c@contoso.example', credit_limit = '5', parent_no = NULL");
    world.run();
    let before = world.accounts();
    let (number, account) = before.iter().next_back().unwrap();
    let (url, path) = (world.url.clone(), format!("/api/data/v9.2/accounts(accountnumber='{number}')"));
    let (deleted, of) = (AtomicBool::new(false), url.clone());
    let proxy = in_front_of(&url, move |asked| {
        if asked.body.contains("PATCH ") && !deleted.swap(true, Ordering::Relaxed) {
            http(&of, "DELETE", &path, "");
        }
    });
    world.edit("systems/dynamics.yaml", &url, &proxy);
    let stamp = jiff::Timestamp::now();
    world.sql(&format!(
        "UPDATE customers SET company_name = 'Renamed', updated_at = '{stamp}' WHERE customer_no = '{number}'"
    ));
    let run = world.run();
    assert!(run["error"].is_null() && run["created"] == 1 && run["updated"] == 0, "{run:#}");
    let after = &world.accounts()[number];
    assert_eq!((after.name.as_deref(), &after.email), (Some("Renamed"), &account.email), "{after:?}");
    assert_eq!((&after.credit_limit, after.terms), (&account.credit_limit, account.terms), "{after:?}");
}
