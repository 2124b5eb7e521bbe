//! A hub whose disk is really full: it keeps nothing that it cannot keep, says so, and goes on by itself when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::stage::{EVENTS, Stage};
use crate::support::http;

/// A file system of so many kilobytes at a folder, until the end of the test.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[expect(clippy::print_stderr, reason = "who runs the tests should see what was left out")]
fn small(folder: &Path, kilobytes: u32) -> Option<Small> {
    std::fs::create_dir_all(folder).unwrap();
    let size = format!("size={kilobytes}k");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
    if mounted.is_ok_and(|done| done.status.success()) {
        return Some(Small(folder.to_owned()));
    }
    eprintln!("skipped: this user may not mount a small file system");
    None
}

/// Takes all the room that is left.
fn fill(folder: &Path) {
    let mut file = std::fs::File::create(folder.join("fill")).unwrap();
    for block in [1 << 16, 1 << 12] {
        while std::io::Write::write_all(&mut file, &vec![7; block]).is_ok() {}
    }
}

#[test]
fn nothing_is_lost_on_a_full_disk_and_the_hub_goes_on_when_there_is_room() {
    let mut stage = Stage::with(&format!("{EVENTS}sweep: every 1 second\n"));
    let state = stage.world.dir.join(".ironbridge");
    // Room enough that the log of the state, when it may grow again, does not take all there is.
    let Some(_small) = small(&state, 48 * 1024) else { return };
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    stage.account("C-0", "Before", 1);
    stage.until("the row", || stage.buyers() == ["C-0 Before 1"] && stage.waiting() == 0);
    fill(&state);
    // The log of the state has room left in its file; then there is none anywhere.
    let begun = Instant::now();
    let mut changes = 0;
    while !stage.log().contains("goes on by itself") {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not get full:\n{}", stage.log());
        stage.account(&format!("C-{}", changes % 7), &format!("Change {changes}"), 2);
        changes += 1;
    }
    for number in 0..7 {
        stage.account(&format!("C-{number}"), "Last", 3);
    }
    let full = stage.log();
    assert!(full.contains("IB0016") && full.contains("free some space"), "{full}");
    // A page that something has given back is found by whoever looks first; then it is full again.
    let says = |told: &str| told.contains("Nothing new is accepted") && told.contains("IB0016");
    stage.until("status says so", || says(&stage.say(&["status"])));
    let is_full = |ready: &str| ready.contains("failed") && ready.contains("is full");
    let ready = || http(&format!("http://{}", stage.address), "GET", "/readyz", "");
    stage.until("it is not ready", || is_full(&ready()));
    assert!(stage.up.as_mut().unwrap().try_wait().unwrap().is_none(), "the hub has ended:\n{full}");
    std::fs::remove_file(state.join("fill")).unwrap();
    let all: Vec<String> = (0..7).map(|number| format!("C-{number} Last 3")).collect();
    stage.until("everything, by the same hub", || stage.buyers() == all && stage.waiting() == 0);
    assert!(stage.up.as_mut().unwrap().try_wait().unwrap().is_none(), "the hub has ended:\n{}", stage.log());
    let ready = http(&format!("http://{}", stage.address), "GET", "/readyz", "");
    assert!(!ready.contains("failed"), "{ready}");
}

/// Nobody had the state open when the disk filled: not even the file that its readers share finds room.
#[test]
fn whoever_begins_on_a_full_disk_is_told_that_it_is_full() {
    let stage = Stage::new();
    let state = stage.world.dir.join(".ironbridge");
    let Some(_small) = small(&state, 16 * 1024) else { return };
    stage.say(&["status"]);
    fill(&state);
    for command in [&["status"][..], &["queue", "list"], &["runs"]] {
        let said = stage.run(command);
        assert!(said.code == Some(1) && said.err.contains("[IB0016]"), "{command:?}: {said:#?}");
        assert!(said.err.contains("do: free some space"), "{command:?}: {said:#?}");
    }
    std::fs::remove_file(state.join("fill")).unwrap();
    stage.say(&["status"]);
}

/// A disk that the log of the state alone would fill: what waits is still delivered, and whoever looks is answered.
#[test]
fn a_disk_that_the_log_fills_holds_up_neither_what_waits_nor_who_looks() {
    let mut stage = Stage::with(&format!("{EVENTS}sweep: every 1 second\n"));
    let state = stage.world.dir.join(".ironbridge");
    let Some(_small) = small(&state, 6 * 1024) else { return };
    stage.start();
    stage.until("the first sweep", || !stage.sweeps().is_empty());
    fill(&state);
    for round in 1..=40 {
        for number in 0..7 {
            stage.account(&format!("C-{number}"), &format!("Change {round}"), round);
        }
        if round % 10 == 0 {
            for args in [&["queue", "list"][..], &["status"], &["dead-letters", "groups"], &["runs"]] {
                let begun = Instant::now();
                let told = stage.say(args);
                assert!(begun.elapsed() < Duration::from_secs(20), "{args:?} took {:?}: {told}", begun.elapsed());
            }
        }
    }
    let all: Vec<String> = (0..7).map(|number| format!("C-{number} Change 40 40")).collect();
    stage.until("everything, on a disk that is full", || stage.buyers() == all && stage.waiting() == 0);
    assert!(std::fs::write(state.join("more"), [7; 8192]).is_err(), "the disk has room again");
    assert!(stage.up.as_mut().unwrap().try_wait().unwrap().is_none(), "the hub has ended:\n{}", stage.log());
}

#[test]
fn a_commit_that_fails_once_does_not_end_the_hub() {
    // Before the commit: a disk without room. After it: a sync that failed, and nobody knows what is on the disk.
    for fails in ["commit.before@9=error", "commit.after@9=error", "commit.before@12=error", "commit.after@12=error"] {
        let mut stage = Stage::new();
        stage.start_with(fails);
        for number in 1..=5 {
            stage.account(&format!("C-{number}"), "Buyer", number);
        }
        let all: Vec<String> = (1..=5).map(|number| format!("C-{number} Buyer {number}")).collect();
        stage.until(fails, || stage.buyers() == all && stage.waiting() == 0);
        assert!(
            stage.up.as_mut().unwrap().try_wait().unwrap().is_none(),
            "{fails}: the hub has ended:\n{}",
            stage.log()
        );
        let twice: Vec<usize> = (1..=5).map(|number| stage.effects(&format!("C-{number}"))).collect();
        assert_eq!(twice, [1; 5], "{fails}");
    }
}
