//! What can be wrong with a batch: late, not run, stuck, in need of a person.

use super::*;

impl Of<'_> {
    pub(super) fn batch(&self, batch: &Batch, all: &mut Vec<Condition>) {
        if self.known.paused {
            return;
        }
        let name = &self.integration.name;
        let late = self.late(batch);
        let run = self.not_run(batch).or_else(|| self.stuck(batch));
        let person = self.needs_person(batch);
        let waits = self.known.ended.as_ref().is_some_and(|run| run.state == State::WaitingForApproval);
        if let Some(mut late) = late {
            // What nobody gave a time for is told once, by what it comes from.
            if late.saying.severity == Severity::Warning {
                late.cause = run.as_ref().or(person.as_ref()).map(|from| from.key.clone());
            }
            if waits {
                let asked = self.facts.approvals.iter().find(|approval| approval.integration == *name);
                late.cause = asked.map(|approval| format!("{}/{}", Kind::Approval.word(), approval.id));
            }
            late.system = self.failing_system().unwrap_or_default();
            all.push(late);
        }
        all.extend(run);
        all.extend(person);
        let long = is_long(&batch.schedule, self.zone());
        let less = if long { few_rows(&self.known.brought).map(|less| (Kind::FewRows, less)) } else { None };
        if let Some((kind, less)) = less {
            let saying = Saying {
                severity: Severity::Warning,
                title: format!("{name} read {} rows where {} are usual", less.now, less.usual),
                text: "The run went through, and what the source gave is much less than in the runs before.".to_owned(),
                facts: vec![("rows".into(), less.now.to_string()), ("usual".into(), less.usual.to_string())],
                command: format!("ironbridge runs {name}"),
                since: less.since,
            };
            all.push(self.condition(kind, "", saying));
        } else if !long {
            self.slow(all);
        }
    }

    /// The result is needed, and not there.
    fn late(&self, batch: &Batch) -> Option<Condition> {
        let (zone, now, name) = (self.zone(), self.facts.now, &self.integration.name);
        let period = schedule::period(&batch.schedule, zone).unwrap_or(Duration::from_secs(3600));
        let hour = Duration::from_secs(3600);
        let by = batch.needed_by.unwrap_or(NeededBy::Within((period * 2).clamp(hour, hour * 4)));
        let mut with = batch.clone();
        with.needed_by = Some(by);
        let (open, good, resumed) = (self.known.deadline.clone(), self.known.good, self.known.resumed);
        let known = deadline::Known { open, good, paused: false, resumed };
        let (slot, needed) = match (&self.known.deadline, deadline::look(&with, &known, zone, self.facts.started, now))
        {
            (Some(open), _) => (open.slot, open.needed),
            (None, Some(deadline::Noted::Open { slot, needed })) => (slot, needed),
            _ => return None,
        };
        if needed > now {
            return None;
        }
        let failed = self.known.ended.as_ref().filter(|run| run.error.is_some());
        let mut text = format!(
            "Its result was needed by {}, and it is not there: no run since {} has gone through.",
            moment(needed, zone),
            moment(slot, zone)
        );
        match (&self.known.last, failed) {
            (Some(run), _) if run.state == State::Running => {
                text += &format!(" Run {} has been under way since {}.", run.id, moment(run.started, zone));
            }
            (_, Some(run)) => text += &format!(" Run {} failed at {}.", run.id, moment(ended(run), zone)),
            _ => {}
        }
        let mut facts = vec![("needed by".to_owned(), moment(needed, zone)), ("due".to_owned(), moment(slot, zone))];
        facts.extend(last_error(failed));
        let severity = if batch.needed_by.is_some() { Severity::Critical } else { Severity::Warning };
        let saying = Saying {
            severity,
            title: format!("{name} is late"),
            text,
            facts,
            command: format!("ironbridge runs {name}"),
            since: needed,
        };
        Some(self.condition(Kind::Late, "", saying))
    }

    /// A run was due, and none has begun.
    fn not_run(&self, batch: &Batch) -> Option<Condition> {
        let (zone, name) = (self.zone(), &self.integration.name);
        let running = self.known.last.as_ref().is_some_and(|run| run.state == State::Running);
        if running {
            return None;
        }
        let looked = self.known.resumed.map_or(self.facts.started, |resumed| self.facts.started.max(resumed));
        let due = worker::due_now(name, batch, self.known.last.as_ref(), zone, looked, self.facts.now)?;
        // The first that did not happen: each one after it would begin the waiting anew.
        let missed = self.known.last.as_ref().and_then(|run| {
            let mut since = run.slot.unwrap_or(run.started).max(ended(run));
            if batch.missed == Missed::Skip {
                since = since.max(looked);
            }
            schedule::next(&batch.schedule, zone, since)
        });
        let first = missed.map_or(due.slot, |missed| missed.min(due.slot));
        // A hub that has just been started, or an integration that was resumed, runs it in a moment.
        if !self.has_passed(first.max(looked), self.rules.not_run) {
            return None;
        }
        let last = self.known.last.as_ref().map_or("it has never run".to_owned(), |run| {
            format!("the last run began at {}", moment(run.started, zone))
        });
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name} did not run"),
            text: format!("A run was due at {}, and none has begun; {last}.", moment(first, zone)),
            facts: vec![("due".into(), moment(first, zone))],
            command: "ironbridge status".to_owned(),
            since: first,
        };
        Some(self.condition(Kind::NotRun, "", saying))
    }

    /// A run is under way for so long that those after it do not happen.
    fn stuck(&self, batch: &Batch) -> Option<Condition> {
        let (zone, name) = (self.zone(), &self.integration.name);
        let run = self.known.last.as_ref().filter(|run| run.state == State::Running)?;
        let period = schedule::period(&batch.schedule, zone).unwrap_or_default();
        if !self.has_passed(run.started, (period * 4).max(Duration::from_secs(2 * 3600))) {
            return None;
        }
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name}: run {} does not end", run.id),
            text: format!(
                "It has been under way since {}, and the runs that were due since then did not happen.",
                moment(run.started, zone)
            ),
            facts: vec![("run".into(), run.id.to_string()), ("rows read so far".into(), run.counts.read.to_string())],
            command: format!("ironbridge runs {name}"),
            since: run.started,
        };
        Some(self.condition(Kind::NotRun, "", saying))
    }

    /// The last run ended with something that only a person can change.
    fn needs_person(&self, batch: &Batch) -> Option<Condition> {
        let name = &self.integration.name;
        let run = self.known.ended.as_ref().filter(|run| run.state == State::Failed)?;
        // Each attempt that fails again is the same matter, also where the next one comes before people would be told.
        let stands = self.standing.contains(&format!("{}/{name}", Kind::NeedsPerson.word()));
        let period = schedule::period(&batch.schedule, self.zone()).unwrap_or_default();
        let good = self.known.good.unwrap_or(self.facts.started);
        let often = period < self.rules.person && self.has_passed(good, self.rules.person + period);
        if !stands && !often && !self.has_passed(ended(run), self.rules.person) {
            return None;
        }
        let error = run.error.as_ref()?;
        let detail: serde_json::Value = serde_json::from_str(&error.detail).unwrap_or_default();
        if detail["now"] != "ask_person" {
            return None;
        }
        let mut facts = last_error(Some(run));
        let fix = detail["do"].as_str().filter(|fix| !fix.is_empty());
        facts.extend(fix.map(|fix| ("do".to_owned(), fix.to_owned())));
        let what = detail["what"].as_str().unwrap_or(&error.text);
        let saying = Saying {
            severity: Severity::Warning,
            title: format!("{name} needs a person: {what}"),
            text: format!(
                "Run {} ended at {} with an error that does not go away by itself. Nothing was lost; the next run brings everything.",
                run.id,
                moment(ended(run), self.zone())
            ),
            facts,
            command: format!("ironbridge explain {}", error.code),
            since: ended(run),
        };
        let mut found = self.condition(Kind::NeedsPerson, "", saying);
        found.system = self.failing_system().unwrap_or_default();
        Some(found)
    }

    /// The system that the last run failed at.
    fn failing_system(&self) -> Option<String> {
        self.known.ended.as_ref().and_then(crate::looks::failed_at)
    }
}
