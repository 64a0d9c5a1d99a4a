//! How long the machine itself stood still: its host stops a virtual machine, and a disk that others use too lets
//! everybody wait. No daemon can answer meanwhile, so calls are measured without it, and it is printed beside them.
//!
//! Two threads of this process look, before whatever else wants to run (sched(7), SCHED_FIFO): neither a busy daemon nor
//! its attackers can make them late.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::os::unix::fs::FileExt as _;

/// How long they wait between two looks, and what is later than that by so much is no chance.
const PAUSE: Duration = Duration::from_millis(10);
const LATE: Duration = Duration::from_millis(10);
/// What a sync has to bring to the disk: about as much as one of the daemon's.
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// From one moment to another.
pub(crate) type Span = (Instant, Instant);

/// Looks until it is ended.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    watching: [JoinHandle<Vec<Span>>; 2],
}

impl Watch {
    /// Begins to look at the processors, and at the disk that has this folder.
    pub(crate) fn begin(folder: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let file = std::fs::File::create(folder.join("standstill")).expect("a file beside the daemon's");
        file.write_all_at(&BLOCK, 0).and_then(|()| file.sync_all()).expect("a file on the disk");
        let processor = watching(&stop, |began| {
            std::thread::sleep(PAUSE);
            (began + PAUSE, Instant::now())
        });
        let disk = watching(&stop, move |_| {
            std::thread::sleep(PAUSE);
            let began = Instant::now();
            file.write_all_at(&BLOCK, 0).and_then(|()| file.sync_data()).expect("the disk");
            (began, Instant::now())
        });
        Self { stop, watching: [processor, disk] }
    }

    /// What was seen.
    pub(crate) fn end(self) -> Standstills {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.watching.map(|watching| watching.join().expect("who looks at the machine"));
        Standstills::from(seen.concat())
    }
}

/// A thread of the highest priority that notes what took longer than it may.
fn watching(
    stop: &Arc<AtomicBool>,
    mut look: impl FnMut(Instant) -> Span + Send + 'static,
) -> JoinHandle<Vec<Span>> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
        let first = Command::new("chrt").args(["--fifo", "--pid", "10", &thread]).status();
        assert!(first.expect("chrt of util-linux").success(), "root, to be before all others");
        let mut seen = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let (from, to) = look(Instant::now());
            if to.saturating_duration_since(from) > LATE {
                seen.push((from, to));
            }
        }
        seen
    })
}

/// Moments at which the machine stood still, in order and apart from each other.
#[derive(Debug, Default)]
pub(crate) struct Standstills(Vec<Span>);

impl From<Vec<Span>> for Standstills {
    fn from(mut seen: Vec<Span>) -> Self {
        seen.sort_unstable();
        let mut apart: Vec<Span> = Vec::new();
        for (from, to) in seen {
            match apart.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => apart.push((from, to)),
            }
        }
        Self(apart)
    }
}

impl Standstills {
    /// What a call took of the time in which the machine ran.
    pub(crate) fn without(&self, call: Span) -> Duration {
        let stood =
            self.0.iter().map(|(from, to)| call.1.min(*to).saturating_duration_since(call.0.max(*from)));
        call.1.duration_since(call.0).saturating_sub(stood.sum())
    }

    /// How long in all, and the longest of them.
    pub(crate) fn in_all(&self) -> (Duration, Duration) {
        let each = || self.0.iter().map(|(from, to)| to.duration_since(*from));
        (each().sum(), each().max().unwrap_or_default())
    }
}

#[test]
fn a_call_is_measured_without_the_time_in_which_the_machine_stood_still() {
    let zero = Instant::now();
    let span = |from, to| (zero + Duration::from_millis(from), zero + Duration::from_millis(to));
    // Seen by the one and by the other, one after the other, apart.
    let stood = Standstills::from(vec![span(300, 310), span(120, 150), span(100, 140), span(110, 115)]);
    assert_eq!(stood.0, [span(100, 150), span(300, 310)]);
    assert_eq!(stood.in_all(), (Duration::from_millis(60), Duration::from_millis(50)));
    let cases = [
        (span(0, 90), 90),    // before
        (span(90, 110), 10),  // into it
        (span(110, 120), 0),  // within
        (span(140, 170), 20), // out of it
        (span(0, 400), 340),  // over both
    ];
    for (call, left) in cases {
        assert_eq!(stood.without(call), Duration::from_millis(left), "{call:?}");
    }
    assert_eq!(Standstills::default().without(span(5, 9)), Duration::from_millis(4));
}
