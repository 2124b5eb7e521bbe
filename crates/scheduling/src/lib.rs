//! How soon a thread that was waiting runs again.
//!
//! Linux gives every thread turns of some milliseconds, and since 6.6 one that wakes waits for the end of somebody else's
//! turn where all processors are busy. For a thread that works for half a millisecond between two waits for the disk that
//! is most of its time, and everybody who waits for it waits as well. One that asks for shorter turns gets no more of the
//! processor than before, but gets it when it wakes.

use std::io;
use std::time::Duration;

/// The shortest turn that Linux gives. Source: `sched_setattr` for `SCHED_OTHER`, Linux 6.12: 0.1 to 100 ms.
pub const SHORTEST: Duration = Duration::from_micros(100);

/// Asks for turns of this length for the thread that calls. It needs no rights, and changes no priority.
///
/// Kernels before 6.12 take it and do nothing; those before 6.6 have woken threads early by themselves. A thread that was given another policy
/// than the usual one (`chrt`) keeps that.
///
/// *Errors*: what the kernel says; [`io::ErrorKind::Unsupported`] where it is not Linux.
#[cfg(target_os = "linux")]
pub fn take_turns_of(turn: Duration) -> io::Result<()> {
    let mut attributes = linux::attributes()?;
    if attributes.sched_policy == libc::SCHED_OTHER as u32 {
        attributes.sched_runtime = u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX);
        linux::set(&attributes)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub fn take_turns_of(_: Duration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "system calls without a wrapper")]
mod linux {
    use std::io;

    /// The thread that calls.
    const SELF: libc::pid_t = 0;
    /// What a kernel of 3.14 knows of the structure, and every later one takes.
    const BYTES: u32 = size_of::<libc::sched_attr>() as u32;
    const NO_FLAGS: u32 = 0;

    pub fn attributes() -> io::Result<libc::sched_attr> {
        let mut attributes = libc::sched_attr {
            size: BYTES,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the kernel writes at most `BYTES` bytes to a structure that is as long, is ours and outlives the call.
        let done = unsafe { libc::syscall(libc::SYS_sched_getattr, SELF, &raw mut attributes, BYTES, NO_FLAGS) };
        if done == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
    }

    pub fn set(attributes: &libc::sched_attr) -> io::Result<()> {
        // SAFETY: the kernel reads `attributes.size` bytes, which is the length of the structure, and keeps nothing of it.
        let done = unsafe { libc::syscall(libc::SYS_sched_setattr, SELF, &raw const *attributes, NO_FLAGS) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Major and minor number of the kernel's version.
    fn kernel() -> (u32, u32) {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    #[test]
    fn a_thread_gets_the_turns_it_asks_for_and_keeps_everything_else() {
        let asked = std::thread::spawn(|| {
            let before = linux::attributes()?;
            take_turns_of(SHORTEST)?;
            linux::attributes().map(|after| (before, after))
        });
        let (before, after) = asked.join().expect("it does not panic").expect("the kernel answers");
        let kept = |a: &libc::sched_attr| (a.sched_policy, a.sched_nice, a.sched_priority, a.sched_flags);
        assert_eq!(kept(&after), kept(&before));
        if kernel() >= (6, 12) {
            assert_eq!(u128::from(after.sched_runtime), SHORTEST.as_nanos());
            assert!(before.sched_runtime > after.sched_runtime, "the usual turn is longer: {}", before.sched_runtime);
        }
        let other = std::thread::spawn(linux::attributes).join().expect("it does not panic").expect("it answers");
        assert_eq!(other.sched_runtime, before.sched_runtime, "only the thread that asked");
    }
}
