//! The memory of a stopped process, mapping by mapping.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::matcher::find;
use super::{Findings, Needles};

const PAGE: u64 = 4096;
/// Bit 63 of an entry of `/proc/PID/pagemap`: the page is in memory.
const PRESENT: u64 = 1 << 63;

/// The memory of a process at one moment, to be searched afterwards: also for what was learned only later, as the nonce
/// of a signature that was still being made.
pub struct Picture {
    stretches: Vec<Stretch>,
    /// Bytes of locked memory that could not be read.
    unreadable: u64,
}

/// Pages that follow each other.
struct Stretch {
    mapping: String,
    guard: Guard,
    from: u64,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Locked and kept out of dumps.
    Protected,
    Exposed,
}

impl Picture {
    pub(super) fn take(pid: u32) -> Self {
        let _stopped = Stopped::new(pid);
        let [memory, pagemap] = ["mem", "pagemap"].map(|name| {
            let path = format!("/proc/{pid}/{name}");
            File::open(&path).unwrap_or_else(|why| panic!("{path}: {why}; memory is scanned as root"))
        });
        let mut picture = Self { stretches: Vec::new(), unreadable: 0 };
        for mapping in mappings(pid).iter().filter(|mapping| mapping.is_ours()) {
            for (from, to) in present(&pagemap, mapping) {
                let length = usize::try_from(to - from).expect("less than the address space");
                let mut bytes = vec![0; length];
                if let Err(why) = memory.read_exact_at(&mut bytes, from) {
                    assert!(mapping.guard() == Guard::Protected, "{from:#x} in {}: {why}", mapping.name);
                    picture.unreadable += to - from;
                    continue;
                }
                let (mapping, guard) = (mapping.name.clone(), mapping.guard());
                picture.stretches.push(Stretch { mapping, guard, from, bytes });
            }
        }
        picture
    }

    /// What of these stood in the memory then.
    #[must_use]
    pub fn search(&self, needles: &Needles) -> Findings {
        let mut findings = Findings { unreadable: self.unreadable, ..Findings::default() };
        for stretch in &self.stretches {
            let hits = find(&stretch.bytes, stretch.from, &stretch.mapping, needles);
            findings.bytes += stretch.bytes.len() as u64;
            match stretch.guard {
                Guard::Protected => findings.protected.extend(hits),
                Guard::Exposed => findings.exposed.extend(hits),
            }
        }
        findings
    }

    /// Every 32 bytes of locked memory, at a multiple of 32, that are not all zero. At rest these are the slots of the
    /// vault: so a test gets to know keys that were made in there and that nothing gives out.
    #[must_use]
    pub fn locked_slots(&self) -> Vec<[u8; 32]> {
        let locked = self.stretches.iter().filter(|stretch| stretch.guard == Guard::Protected);
        let slots = locked.flat_map(|stretch| stretch.bytes.as_chunks().0);
        slots.copied().filter(|slot| *slot != [0; 32]).collect()
    }
}

/// A process that goes on when this is dropped.
struct Stopped(Pid);

impl Stopped {
    /// Stops it, and waits until every thread has stopped.
    fn new(pid: u32) -> Self {
        let process = Pid::from_raw(pid.cast_signed()).expect("a pid is not 0");
        kill_process(process, Signal::STOP).unwrap_or_else(|why| panic!("cannot stop {pid}: {why}"));
        let stopped = Self(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !states(pid).iter().all(|state| matches!(state, 'T' | 't')) {
            assert!(Instant::now() < deadline, "{pid} does not stop: {:?}", states(pid));
            thread::sleep(Duration::from_millis(1));
        }
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).ok();
    }
}

/// The state letter of each thread: the one after the name in parentheses.
fn states(pid: u32) -> Vec<char> {
    let tasks =
        fs::read_dir(format!("/proc/{pid}/task")).unwrap_or_else(|why| panic!("process {pid}: {why}"));
    let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
    let state = |stat: String| stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    tasks.flatten().filter_map(stat).filter_map(state).collect()
}

/// One line of `/proc/PID/maps` with its lines in `smaps`.
#[derive(Default)]
struct Mapping {
    low: u64,
    high: u64,
    shared: bool,
    name: String,
    flags: String,
    /// KiB that the process wrote, of a private mapping of a file.
    written: u64,
}

impl Mapping {
    /// Whether the process can have put something there: not the unwritten pages of a program's or library's file,
    /// and not what the kernel shows to every process.
    fn is_ours(&self) -> bool {
        let of_kernel = matches!(self.name.as_str(), "[vvar]" | "[vvar_vclock]" | "[vdso]" | "[vsyscall]");
        let untouched_file = self.name.starts_with('/') && !self.shared && self.written == 0;
        !of_kernel && !untouched_file
    }

    fn guard(&self) -> Guard {
        let has = |flag| self.flags.split(' ').any(|found| found == flag);
        if has("lo") && has("dd") { Guard::Protected } else { Guard::Exposed }
    }
}

fn mappings(pid: u32) -> Vec<Mapping> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_else(|why| panic!("smaps: {why}"));
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        let Some((head, rest)) = line.split_once(' ') else { continue };
        if let Some(field) = head.strip_suffix(':') {
            let last = mappings.last_mut().expect("a mapping comes before its fields");
            let number = || rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
            match field {
                "VmFlags" => last.flags = rest.trim().to_owned(),
                // Not "Private_Dirty": a program's file that was written a moment ago has dirty pages in the kernel's cache.
                "Anonymous" => last.written = number(),
                _ => {}
            }
        } else if let Some((low, high)) = head.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).expect("an address");
            let mut fields = rest.split_whitespace();
            let shared = fields.next().is_some_and(|permissions| permissions.ends_with('s'));
            let name = fields.skip(3).collect::<Vec<_>>().join(" ");
            let name = if name.is_empty() { "anonymous memory".to_owned() } else { name };
            let (low, high) = (address(low), address(high));
            mappings.push(Mapping { low, high, shared, name, ..Mapping::default() });
        }
    }
    mappings
}

/// Stretches of pages that are in memory, as addresses.
fn present(pagemap: &File, mapping: &Mapping) -> Vec<(u64, u64)> {
    let pages = (mapping.high - mapping.low) / PAGE;
    let mut entries = vec![0; usize::try_from(pages * 8).expect("less than the address space")];
    // A huge reservation without memory has a long but empty map; the kernel fills in zeros.
    pagemap
        .read_exact_at(&mut entries, mapping.low / PAGE * 8)
        .unwrap_or_else(|why| panic!("pagemap: {why}"));
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for (entry, from) in entries.chunks_exact(8).zip((mapping.low..).step_by(4096)) {
        if u64::from_le_bytes(entry.try_into().expect("eight bytes")) & PRESENT == 0 {
            continue;
        }
        match stretches.last_mut() {
            Some((_, to)) if *to == from => *to += PAGE,
            _ => stretches.push((from, from + PAGE)),
        }
    }
    stretches
}
