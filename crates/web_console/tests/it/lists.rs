//! Lists filter, sort, go page by page and leave as CSV.

use store::journal::{Note, What};
use store::runs::{Counts, Op, RunError, RunId, State, Trigger};
use store::{OpResult, Store};

use crate::browser::stage::PROJECT;
use crate::support::Bench;

pub async fn run(store: &Store, integration: &str, state: State, read: u64) {
    let start =
        Op::Start { integration: integration.to_owned(), trigger: Trigger::Command, slot: None, retry_of: None };
    let OpResult::Run(run) = store.commit_one(start).await.unwrap() else { panic!("a run is started") };
    let more = Counts { read, unchanged: read, ..Counts::default() };
    let error = (state == State::Failed).then(|| RunError {
        code: "IB0412".to_owned(),
        text: "=the other side <said> no".to_owned(),
        detail: String::new(),
    });
    store.commit(vec![Op::Progress { run, more }.into(), Op::Finish { run, state, error }.into()]).await.unwrap();
}

/// The numbers of the runs in the order of the page.
fn numbers(text: &str) -> Vec<u64> {
    text.match_indices("<a href=\"/runs/")
        .map(|(at, mark)| text[at + mark.len()..].split('"').next().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_found_sorted_and_taken_along() {
    let bench = Bench::new().await;
    for n in 1..=5 {
        run(&bench.store, "things", State::Ok, 100 - n).await;
    }
    run(&bench.store, "things", State::Failed, 1).await;
    run(&bench.store, "others", State::Ok, 500).await;
    let check = async |query: &str, expected: &[u64]| {
        let page = bench.get(&format!("/runs{query}"), None).await;
        assert_eq!(numbers(&page.text), expected, "{query}");
        page.text
    };
    check("", &[7, 6, 5, 4, 3, 2, 1]).await;
    check("?sort=read", &[6, 5, 4, 3, 2, 1, 7]).await;
    check("?sort=-read&size=2", &[7, 1]).await;
    let page = check("?sort=-read&size=2&page=2&integration=things", &[3, 4]).await;
    assert!(page.contains("3 to 4 of 6"), "{page}");
    assert!(page.contains("href=\"?integration=things&amp;sort=-read&amp;page=3&amp;size=2\""), "{page}");
    check("?state=failed", &[6]).await;
    check("?q=SAID", &[6]).await;
    check("?q=%27%20OR%201=1", &[]).await;
    // What makes no sense is left out.
    check("?sort=secret&page=-1&state=nonsense", &[7, 6, 5, 4, 3, 2, 1]).await;
    let csv = bench.get("/runs?state=failed&as=csv", None).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").contains("runs.csv"));
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines.len(), 2, "{}", csv.text);
    assert!(lines[0].starts_with("run,integration,state") && lines[1].starts_with("6,things,failed"), "{lines:?}");

    let page = bench.get("/runs/6", None).await.text;
    assert!(page.contains("the other side &lt;said&gt; no") && page.contains("/explain/IB0412"), "{page}");
    let overview = bench.get("/", None).await.text;
    assert!(overview.contains("The last run of things failed") || overview.contains("things"), "{overview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_fit_into_one_file_says_where_the_rest_is() {
    let bench = Bench::new().await;
    let all = 20_003;
    for some in (1..=all).collect::<Vec<i64>>().chunks(2_000) {
        let start = |_: &i64| {
            store::Op::from(Op::Start {
                integration: "things".to_owned(),
                trigger: Trigger::Command,
                slot: None,
                retry_of: None,
            })
        };
        bench.store.commit(some.iter().map(start).collect()).await.unwrap();
    }
    let page = bench.get("/runs?integration=things", None).await.text;
    let next = "?integration=things&amp;as=csv&amp;part=2";
    for said in ["more than 10,000", "CSV of the first 10,000", next, "its last line says where the next ones are"] {
        assert!(page.contains(said), "no `{said}` in {page}");
    }
    // Each file leads to the next one, and all together are the list.
    let (mut path, mut numbers, mut names) = ("/runs?integration=things&as=csv".to_owned(), Vec::new(), Vec::new());
    loop {
        let file = bench.get(&path, None).await;
        names.push(file.header("content-disposition").split('"').nth(1).unwrap().to_owned());
        let mut lines: Vec<&str> = file.text.lines().skip(1).collect();
        let rest = lines.pop_if(|line| line.starts_with("\"There are more: "));
        numbers.extend(lines.iter().map(|line| line.split(',').next().unwrap().parse::<i64>().unwrap()));
        let Some(rest) = rest else { break };
        assert_eq!(lines.len(), 10_000);
        path = rest.trim_end_matches('"').rsplit(' ').next().unwrap().to_owned();
    }
    assert_eq!(numbers, (1..=all).rev().collect::<Vec<i64>>());
    assert_eq!(names, ["runs.csv", "runs-2.csv", "runs-3.csv"]);
    assert!(path.ends_with("part=3"), "{path}");
    let fits = bench.get("/runs?integration=others", None).await.text;
    assert!(!fits.contains("part=2") && fits.contains("CSV</a>"), "{fits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_attention_comes_first() {
    let bench = Bench::new().await;
    assert!(bench.get("/", None).await.text.contains("Nothing. Everything that should have run has run."));
    run(&bench.store, "things", State::Failed, 1).await;
    let page = bench.get("/", None).await.text;
    let (attention, picture) =
        (page.find("The last run of things failed").unwrap(), page.find("class=\"wide\"").unwrap());
    assert!(attention < picture && page.contains("ironbridge runs things"), "{page}");
    let what = || store::outages::Op::Note {
        integration: "things".into(),
        system: "b".into(),
        at: "b".into(),
        code: "IB0412".into(),
        what: "b says 503".into(),
        fix: String::new(),
        failures: 3,
    };
    bench.store.commit_one(what()).await.unwrap();
    let page = bench.get("/", None).await.text;
    // The failed run follows from it, and is not said again.
    assert!(
        page.contains("things: nothing gets through to b") && !page.contains("The last run of things failed"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_week_is_the_same_however_it_is_summed_up() {
    let bench = Bench::new().await;
    let history = web_console::history::History::default();
    for n in 0..50_u64 {
        let state = if n % 7 == 0 { State::Failed } else { State::Ok };
        run(&bench.store, "things", state, n).await;
        bench.wait(std::time::Duration::from_secs(9 * 3600 / 2));
        let now = bench.store.clock().now();
        let kept = history.week(&bench.store, now).unwrap();
        let anew = web_console::history::History::default().week(&bench.store, now).unwrap();
        assert_eq!(kept, anew, "after {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_filtered_and_leaves_as_a_file() {
    let bench = Bench::new().await;
    run(&bench.store, "things", State::Ok, 1).await;
    assert_eq!(bench.post("/integrations/things/pause", None, "note=why").await.status, 303);
    let lists = [
        ("/integrations", "name,level,state"),
        ("/runs", "run,integration,state"),
        ("/alerts", "title,severity,state"),
        ("/dead-letters", "message,integration,code"),
        ("/dead-letters/list", "key,integration,code"),
        ("/retries", "job,integration,state"),
        ("/approvals", "id,question,integration"),
        ("/flows", "id,integration,about"),
        ("/systems", "name,kind,state"),
        ("/audit", "number,at,by"),
        ("/users", "name,role,person"),
    ];
    for (path, heads) in lists {
        let page = bench.get(path, None).await;
        assert!(page.text.contains("class=\"filters\"") && page.text.contains("as=csv"), "{path}: {}", page.text);
        let file = bench.get(&format!("{path}?as=csv"), None).await;
        assert_eq!((file.status.as_u16(), file.header("content-type")), (200, "text/csv; charset=utf-8"), "{path}");
        assert!(file.header("content-disposition").contains(".csv"), "{path}");
        assert!(file.text.starts_with(heads), "{path}: {}", file.text);
        let none = bench.get(&format!("{path}?q=nothing+is+called+so"), None).await;
        assert!(none.text.contains("Nothing fits what you filter by."), "{path}: {}", none.text);
    }
    let log = bench.get("/audit?action=pause&as=csv", None).await.text;
    assert!(log.lines().count() == 2 && log.contains(",mia,console,pause,things,"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_offers_what_can_be_done_and_ends_its_sentences() {
    let bench = Bench::with(PROJECT.iter().copied(), "127.0.0.1:7700", false).await;
    // Nothing is under way that could be moved.
    let page = bench.get("/integrations/terms", None).await.text;
    assert!(page.contains("nothing is under way") && !page.contains("/integrations/terms/migrate"), "{page}");

    run(&bench.store, "customers", State::Ok, 1).await;
    let note = Note { run: Some(RunId(1)), ..Note::new("customer", "C-1", What::Created, "customers", "dynamics") };
    bench.store.commit_one(store::journal::Op::Note(vec![note])).await.unwrap();
    let page = bench.get("/trace?entity=customer&key=C-1", None).await.text;
    assert!(page.contains(">run 1</a>") && !page.contains(">run 1</a>;"), "{page}");
    // Retries are a part of what is done about dead letters.
    let page = bench.get("/retries", None).await.text;
    assert!(page.contains("href=\"/dead-letters\" aria-current=\"page\""), "{page}");
}
