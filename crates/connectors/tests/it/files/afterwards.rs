//! What becomes of files: only what the hub has committed is put away.

use std::path::Path;

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_moved_once_its_position_is_committed_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    put(here, "p_1.csv", "number,amount\n1,1\n2,1\n3,1\n", 30);
    put(here, "p_2.csv", "number,amount\n4,1\n", 20);
    let source = source(here, CHANGES);
    let whole = read(&*source, None).await.unwrap();
    assert_eq!(names(here), ["p_1.csv", "p_2.csv"], "reading moves nothing");
    source.committed(whole.pages[0].cursor.as_deref().unwrap()).await.unwrap();
    assert_eq!(names(here), ["p_1.csv", "p_2.csv"], "its last page is not committed");
    source.committed(whole.pages[1].cursor.as_deref().unwrap()).await.unwrap();
    assert_eq!((names(here), names(&here.join("done"))), (vec!["p_2.csv".into()], vec!["p_1.csv".into()]));
    // The process ended in between: the next one says it again.
    for _ in 0..2 {
        source.committed(whole.cursor.as_deref().unwrap()).await.unwrap();
        assert_eq!(names(&here.join("done")), ["p_1.csv", "p_2.csv"]);
    }
    // Everything is asked for once more: what was put away is still there to be read.
    let again = read(&*source, None).await.unwrap();
    assert_eq!(again.rows, whole.rows);
    // A second file of the same name does not replace the first.
    put(here, "p_1.csv", "number,amount\n9,9\n", 10);
    let third = read(&*source, whole.cursor.as_deref()).await.unwrap();
    assert_eq!(third.rows, ["9=9"]);
    source.committed(third.cursor.as_deref().unwrap()).await.unwrap();
    assert_eq!((names(here).len(), names(&here.join("done")).len()), (0, 3));
    assert_eq!(read(&*source, None).await.unwrap().rows.last().unwrap(), "9=9");
}

#[tokio::test]
async fn a_file_that_was_replaced_since_stays() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "p_1.csv", "number,amount\n1,1\n", 30);
    let source = source(dir.path(), CHANGES);
    let whole = read(&*source, None).await.unwrap();
    put(dir.path(), "p_1.csv", "number,amount\n1,2\n", 10);
    source.committed(whole.cursor.as_deref().unwrap()).await.unwrap();
    assert_eq!(names(dir.path()), ["p_1.csv"], "nobody has read this one");
    assert_eq!(read(&*source, whole.cursor.as_deref()).await.unwrap().rows, ["1=2"]);
}

#[tokio::test]
async fn older_files_and_their_markers_go_with_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    for (name, ago) in [("p_1", 30), ("p_2", 20), ("p_3", 10)] {
        put(dir.path(), &format!("{name}.csv"), "number,amount\n1,1\n", ago);
        put(dir.path(), &format!("{name}.done"), "", ago);
    }
    std::fs::remove_file(dir.path().join("p_3.done")).unwrap();
    let options = [EVERYTHING, &[("afterwards", "delete"), ("ready_when", "exists p_*.done")]].concat();
    let source = source(dir.path(), &options);
    let seen = read(&*source, None).await.unwrap();
    assert_eq!(seen.rows, ["1=1"]);
    source.committed(seen.cursor.as_deref().unwrap()).await.unwrap();
    assert_eq!(names(dir.path()), ["p_3.csv"]);
    let waits = read(&*source, seen.cursor.as_deref()).await.unwrap();
    assert!(waits.pages.is_empty(), "it is not whole");
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_moved_is_told_and_not_read_again() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "p_1.csv", "number,amount\n1,1\n", 30);
    // A file where the folder should be: nobody may make the folder, whoever runs the tests.
    put(dir.path(), "done", "in the way", 30);
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let source = source(dir.path(), CHANGES);
    let seen =
        read(&*open(&[("folder", dir.path().to_str().unwrap())]).source(spec(&[("file", "p_*.csv")])).unwrap(), None)
            .await
            .unwrap();
    let fault = source.committed(seen.cursor.as_deref().unwrap()).await.unwrap_err();
    assert!(fault.what.contains("p_1.csv") || fault.what.contains("done"), "{fault}");
    assert!(!fault.fix.is_empty());
    assert_eq!(names(dir.path()), ["done", "p_1.csv"]);
}
