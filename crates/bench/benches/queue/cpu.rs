//! CPU time of this process and of the thread that writes, as Linux tells it.

use std::fs;

/// Clock ticks of `/proc` in a second.
const TICKS: f64 = 100.0;

/// Seconds; or microseconds for each message.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    pub process: f64,
    pub writer: f64,
}

impl Cpu {
    /// Nothing where there is no `/proc`.
    pub fn now() -> Option<Cpu> {
        let mut writer = 0.0;
        for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
            let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if name.trim() == "store-writer" {
                writer += seconds(&fs::read_to_string(task.path().join("stat")).unwrap_or_default()).unwrap_or(0.0);
            }
        }
        Some(Cpu { process: seconds(&fs::read_to_string("/proc/self/stat").ok()?)?, writer })
    }

    pub fn since(self, before: Cpu, messages: u64) -> Cpu {
        let each = |now: f64, before: f64| (now - before) * 1e6 / messages as f64;
        Cpu { process: each(self.process, before.process), writer: each(self.writer, before.writer) }
    }
}

/// User and system time, after the name in brackets.
fn seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
