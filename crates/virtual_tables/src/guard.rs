//! What stands between many users and one source: how many at once, how long, and when to stop asking.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use crate::ask::Page;
use crate::codes;
use crate::refused::Refused;

/// Queries that a source works on at the same time.
const AT_ONCE: usize = 16;
/// Queries that wait for their turn; more are turned away at once.
const WAITING: usize = 256;
/// Failures in a row after which the source is left alone.
const FAILURES: u32 = 5;
/// How long it is left alone.
const PAUSE: Duration = Duration::from_secs(10);
/// Answers that are kept for `cache:`, and the memory of all of them.
const KEPT: usize = 1_000;
const KEPT_BYTES: usize = 64 << 20;

type Answer = Result<Arc<Page>, Refused>;

/// The turns of one source: all its virtual tables share them.
pub struct Turns {
    turns: Semaphore,
    waiting: Semaphore,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns { turns: Semaphore::new(AT_ONCE), waiting: Semaphore::new(AT_ONCE + WAITING) }
    }
}

pub(crate) struct Guard {
    turns: Arc<Turns>,
    health: Mutex<Health>,
    flights: Mutex<Flights>,
    cache: Duration,
}

/// Questions under way, and those whose answers are kept.
struct Flights {
    known: HashMap<String, Flight>,
    /// When answers that are too old were thrown away.
    swept: Instant,
}

impl Flights {
    /// Bytes of the answers that are kept.
    fn bytes(&self) -> usize {
        let bytes = |flight: &Flight| match flight.answer.get() {
            Some(Ok(page)) => page.bytes(),
            _ => 0,
        };
        self.known.values().map(bytes).sum()
    }
}

#[derive(Default)]
struct Health {
    failures: u32,
    /// Until when nobody asks. Then one query finds out whether it is well again, and the others wait that long once more.
    paused: Option<Instant>,
}

#[derive(Clone)]
struct Flight {
    answer: Arc<OnceCell<Answer>>,
    started: Instant,
}

impl Guard {
    pub fn new(turns: Arc<Turns>, cache: Duration) -> Guard {
        Guard {
            turns,
            health: Mutex::default(),
            flights: Mutex::new(Flights { known: HashMap::new(), swept: Instant::now() }),
            cache,
        }
    }

    /// The answer to a question: a kept one, that of the same question under way, or a new one.
    pub async fn answer<F>(&self, name: &str, question: String, timeout: Duration, work: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<Page, Refused>>,
    {
        let flight = self.flight(&question);
        let mut is_new = false;
        let worked = flight.answer.get_or_init(|| {
            is_new = true;
            async { self.turn(name, timeout, work).await.map(Arc::new) }
        });
        let answer = worked.await.clone();
        let is_kept = !self.cache.is_zero() && answer.is_ok();
        if is_new || !is_kept {
            let flights = &mut *self.flights.lock().expect("nothing panics while it looks here");
            if is_kept && flights.bytes() <= KEPT_BYTES {
                return answer;
            }
            let flights = &mut flights.known;
            // Another flight of the same question may have begun since.
            if flights.get(&question).is_some_and(|known| Arc::ptr_eq(&known.answer, &flight.answer)) {
                flights.remove(&question);
            }
        }
        answer
    }

    fn flight(&self, question: &str) -> Flight {
        let mut flights = self.flights.lock().expect("nothing panics while it looks here");
        if let Some(flight) = flights.known.get(question) {
            // An answer is as old as its question, not as its arrival.
            let done = flight.answer.initialized();
            if !done || flight.started.elapsed() < self.cache {
                return flight.clone();
            }
        }
        let cache = self.cache;
        if flights.known.len() >= KEPT || !cache.is_zero() && flights.swept.elapsed() >= cache {
            flights.swept = Instant::now();
            // One without an answer that nobody waits for was given up.
            flights.known.retain(|_, flight| match flight.answer.initialized() {
                true => flight.started.elapsed() < cache,
                false => Arc::strong_count(&flight.answer) > 1,
            });
        }
        let flight = Flight { answer: Arc::default(), started: Instant::now() };
        if flights.known.len() < KEPT {
            flights.known.insert(question.to_owned(), flight.clone());
        }
        flight
    }

    /// One query of the source, when it is its turn.
    async fn turn<F>(&self, name: &str, timeout: Duration, work: impl FnOnce() -> F) -> Result<Page, Refused>
    where
        F: Future<Output = Result<Page, Refused>>,
    {
        self.admits(name)?;
        let Ok(_place) = self.turns.waiting.try_acquire() else { return Err(self.too_many(name)) };
        let started = Instant::now();
        let Ok(Ok(_turn)) = tokio::time::timeout(timeout, self.turns.turns.acquire()).await else {
            return Err(self.too_many(name));
        };
        let left = timeout.saturating_sub(started.elapsed()).max(timeout / 4);
        let worked = match tokio::time::timeout(left, work()).await {
            Ok(worked) => worked,
            Err(_) => Err(too_slow(name, timeout)),
        };
        // A source that ends the work itself says so a little earlier than our own clock.
        let worked =
            worked.map_err(|refused| match refused.code == codes::UNAVAILABLE && started.elapsed() >= timeout {
                true => Refused { fault: refused.fault, ..too_slow(name, timeout) },
                false => refused,
            });
        self.note(worked.as_ref().err());
        worked
    }

    fn too_many(&self, name: &str) -> Refused {
        let message = format!("`{name}` is asked more than it can answer; ask again in a moment");
        Refused { retry_after: Some(Duration::from_secs(1)), ..Refused::new(429, codes::TOO_MANY, message) }
    }

    fn admits(&self, name: &str) -> Result<(), Refused> {
        let mut health = self.health.lock().expect("nothing panics while it looks here");
        let Some(until) = health.paused else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // Nobody may wait for its answer any more: the next probe does not depend on it.
            health.paused = Some(Instant::now() + PAUSE);
            return Ok(());
        }
        let left = left.max(Duration::from_secs(1));
        let message = format!("`{name}` failed {FAILURES} times in a row and is left alone for {} s", left.as_secs());
        Err(Refused { retry_after: Some(left), ..Refused::new(503, codes::UNAVAILABLE, message) })
    }

    fn note(&self, refused: Option<&Refused>) {
        let mut health = self.health.lock().expect("nothing panics while it looks here");
        if !refused.is_some_and(Refused::is_of_the_source) {
            *health = Health::default();
            return;
        }
        health.failures += 1;
        if health.failures >= FAILURES {
            health.paused = Some(Instant::now() + PAUSE);
        }
    }
}

fn too_slow(name: &str, timeout: Duration) -> Refused {
    let message = format!("`{name}` did not answer within {} ms", timeout.as_millis());
    Refused::new(504, codes::TOO_SLOW, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(cache: Duration) -> Guard {
        Guard::new(Arc::default(), cache)
    }

    async fn ask(guard: &Guard, question: &str, result: Result<Page, Refused>) -> Answer {
        guard.answer("stock", question.to_owned(), Duration::from_millis(50), || async { result }).await
    }

    fn down() -> Refused {
        Refused::new(503, codes::UNAVAILABLE, "down")
    }

    #[tokio::test]
    async fn a_source_that_fails_is_left_alone() {
        let guard = guard(Duration::ZERO);
        for _ in 0..FAILURES {
            assert_eq!(ask(&guard, "q", Err(down())).await.unwrap_err().message, "down");
        }
        let refused = ask(&guard, "q", Ok(Page::default())).await.unwrap_err();
        assert_eq!((refused.status, refused.code), (503, codes::UNAVAILABLE));
        assert!(refused.retry_after.is_some() && refused.message.contains("left alone"));
    }

    /// Whoever asked first after the pause closes the connection before the source has answered.
    #[tokio::test(start_paused = true)]
    async fn a_probe_that_nobody_waits_for_any_more_keeps_nobody_out_for_ever() {
        let guard = guard(Duration::ZERO);
        for _ in 0..FAILURES {
            ask(&guard, "q", Err(down())).await.unwrap_err();
        }
        tokio::time::advance(PAUSE).await;
        let never = guard.answer("stock", "q".into(), Duration::from_secs(5), std::future::pending);
        assert!(tokio::time::timeout(Duration::from_millis(10), never).await.is_err());
        assert_eq!(ask(&guard, "q", Ok(Page::default())).await.unwrap_err().status, 503);
        tokio::time::advance(PAUSE).await;
        ask(&guard, "q", Ok(Page::default())).await.unwrap();
        ask(&guard, "q", Ok(Page::default())).await.unwrap();
    }

    #[tokio::test]
    async fn questions_that_were_given_up_leave_room_for_others() {
        let guard = guard(Duration::from_secs(60));
        for n in 0..KEPT {
            let never = guard.answer("stock", n.to_string(), Duration::from_secs(5), std::future::pending);
            assert!(tokio::time::timeout(Duration::ZERO, never).await.is_err());
        }
        ask(&guard, "another", Ok(Page::default())).await.unwrap();
        let refused = Err(Refused::new(501, codes::UNSUPPORTED, "asked again"));
        ask(&guard, "another", refused).await.unwrap();
    }

    #[tokio::test]
    async fn a_question_that_is_wrong_says_nothing_of_the_source() {
        let guard = guard(Duration::ZERO);
        for _ in 0..2 * FAILURES {
            ask(&guard, "q", Err(Refused::new(501, codes::UNSUPPORTED, "no"))).await.unwrap_err();
        }
        ask(&guard, "q", Ok(Page::default())).await.unwrap();
    }

    #[tokio::test]
    async fn a_slow_source_is_not_waited_for() {
        let guard = guard(Duration::ZERO);
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(Page::default())
        };
        let refused = guard.answer("stock", "q".into(), Duration::from_millis(20), slow).await.unwrap_err();
        assert_eq!((refused.status, refused.code), (504, codes::TOO_SLOW));
    }

    #[tokio::test]
    async fn the_same_question_is_asked_once_while_it_is_under_way_and_again_afterwards() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let guard = guard(Duration::ZERO);
        let one = || {
            guard.answer("stock", "q".into(), Duration::from_secs(5), || async {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(Page::default())
            })
        };
        let (a, b) = tokio::join!(one(), one());
        a.unwrap();
        b.unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
        one().await.unwrap();
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_kept_answer_is_given_for_its_time_and_a_failure_is_not_kept() {
        let asked = std::sync::atomic::AtomicU32::new(0);
        let guard = guard(Duration::from_millis(200));
        let ask = |question: &str, refused: Option<Refused>| {
            guard.answer("stock", question.to_owned(), Duration::from_secs(5), || async {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                refused.map_or_else(|| Ok(Page::default()), Err)
            })
        };
        let count = || asked.load(std::sync::atomic::Ordering::Relaxed);
        ask("q", Some(down())).await.unwrap_err();
        ask("q", None).await.unwrap();
        ask("q", None).await.unwrap();
        ask("another", None).await.unwrap();
        assert_eq!(count(), 3);
        tokio::time::sleep(Duration::from_millis(210)).await;
        ask("q", None).await.unwrap();
        assert_eq!(count(), 4);
    }

    /// A page may be large, and few questions are asked twice.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_too_old_to_be_given_is_kept_no_longer() {
        let guard = guard(Duration::from_secs(10));
        for n in 0..20 {
            ask(&guard, &n.to_string(), Ok(Page::default())).await.unwrap();
        }
        let kept = || guard.flights.lock().unwrap().known.len();
        assert_eq!(kept(), 20);
        tokio::time::advance(Duration::from_secs(10)).await;
        ask(&guard, "another", Ok(Page::default())).await.unwrap();
        assert_eq!(kept(), 1);
    }

    /// Somebody who goes through a table of long texts asks many questions, and each of them once.
    #[tokio::test(start_paused = true)]
    async fn no_more_answers_are_kept_than_memory_was_meant_for_them() {
        let guard = guard(Duration::from_secs(10));
        let text = "x".repeat(1 << 20);
        let page = || {
            let mut rows =
                record::Batch::builder(record::Schema::of([("note", record::Type::Text { max_length: None })]));
            rows.push(record::ValueRef::Text(&text));
            Page::new(rows.finish(), Vec::new(), vec![uuid::Uuid::nil()])
        };
        for n in 0..100 {
            ask(&guard, &n.to_string(), Ok(page())).await.unwrap();
        }
        let kept = || guard.flights.lock().unwrap().bytes();
        assert!((KEPT_BYTES - (2 << 20)..=KEPT_BYTES).contains(&kept()), "{}", kept());
        // What is kept is still given, and what is too old makes room.
        assert_eq!(ask(&guard, "0", Err(down())).await.unwrap().bytes(), page().bytes());
        tokio::time::advance(Duration::from_secs(10)).await;
        ask(&guard, "another", Ok(page())).await.unwrap();
        assert_eq!(kept(), page().bytes());
    }

    #[tokio::test]
    async fn more_than_can_wait_are_told_to_come_back_and_the_source_is_never_asked_more_at_once() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        // Two tables of one source.
        let turns = Arc::<Turns>::default();
        let guards = [(); 2].map(|()| Guard::new(turns.clone(), Duration::ZERO));
        let asking = (0..AT_ONCE + WAITING + 50).map(|n| {
            guards[n % 2].answer("stock", n.to_string(), Duration::from_secs(30), || async {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::Relaxed);
                Ok(Page::default())
            })
        });
        let mut asking: Vec<_> = asking.map(Box::pin).collect();
        let mut answers = Vec::new();
        // All of them ask before any of them is answered, whatever the runtime would let others do in between.
        let all = std::future::poll_fn(|context| {
            asking.retain_mut(|one| match one.as_mut().poll(context) {
                std::task::Poll::Ready(answer) => {
                    answers.push(answer);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if asking.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        tokio::task::unconstrained(all).await;
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!((answers.len(), refused.len()), (AT_ONCE + WAITING + 50, 50));
        assert!(refused.iter().all(|refused| refused.status == 429 && refused.retry_after.is_some()));
        assert_eq!(most.load(Ordering::Relaxed), AT_ONCE);
        ask(&guards[0], "afterwards", Ok(Page::default())).await.unwrap();
    }
}
