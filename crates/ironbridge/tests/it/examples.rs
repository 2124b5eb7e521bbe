//! The examples of the repository are good as they stand.

use std::path::Path;

use crate::support::{binary, said};

#[test]
fn each_example_passes_the_checks() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for example in std::fs::read_dir(&examples).unwrap() {
        let example = example.unwrap().path();
        let checked = said(binary().arg("-C").arg(&example).arg("check").output().unwrap());
        assert_eq!(checked.code, Some(0), "{}: {checked:#?}", example.display());
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}
