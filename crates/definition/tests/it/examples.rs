//! The examples of the format load, whatever is built so far.

use std::path::Path;

use definition::{LoadOptions, Loaded, load};

pub fn contoso(environment: Option<&str>) -> Loaded {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/contoso");
    load(&dir, &LoadOptions { environment, kinds: super::kinds::KINDS, ..LoadOptions::default() })
}

#[test]
fn the_examples_load_without_a_diagnostic() {
    for environment in [None, Some("production")] {
        let loaded = contoso(environment);
        assert!(loaded.diagnostics.is_empty(), "{}", loaded.render(false, 140));
        let project = loaded.project.expect("there is no diagnostic");
        assert_eq!(project.integrations.len(), 6);
        assert_eq!(project.protected(), environment.is_some());
    }
}
