//! What a reader is served, step by step. Each line is a step: `first [PIN]`, `cached`, `advance`, `check`,
//! `remember ROLE`, `timestamp`, `snapshot`, `targets ROLE`; then a tab and the file, which has no line feed.
use std::num::NonZeroU32;
use std::sync::Arc;

use touchmark_tuf::{
    FileMeta, KeyId, Pin, Ring, RoleName, Root, RootChange, RootSource, TrustError, Trusted, next_root,
};

use crate::testing::{Files, Key, World, days, file, gun, now, version};

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) made: Vec<u8>,
    pub(crate) expected: fn(&TrustError) -> bool,
}

/// What came of the last step, and of all before it.
pub(crate) fn run(steps: &[u8]) -> (Result<(), TrustError>, Result<(), TrustError>) {
    let mut trusted: Option<Trusted> = None;
    let mut results = Vec::new();
    for line in steps.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let at = line.iter().position(|byte| *byte == b'\t').unwrap();
        let (step, file) = (std::str::from_utf8(&line[..at]).unwrap(), &line[at + 1..]);
        let (step, argument) = step.split_once(' ').unwrap_or((step, ""));
        results.push(if matches!(step, "first" | "cached") {
            let pin = argument.parse::<KeyId>().map_or(Pin::FirstUse, |key_id| Pin::KeyIds(vec![key_id]));
            let source = if step == "first" {
                RootSource::First { file, pin: &pin }
            } else {
                RootSource::Cached(file)
            };
            Trusted::start(&gun(), source, Arc::new(Ring)).map(|started| trusted = Some(started))
        } else {
            go(trusted.as_mut().unwrap(), step, argument, file)
        });
    }
    let last = results.pop().unwrap();
    (last, results.into_iter().collect())
}

fn go(trusted: &mut Trusted, step: &str, argument: &str, file: &[u8]) -> Result<(), TrustError> {
    match step {
        "advance" => trusted.advance_root(file),
        "check" => trusted.check_root(now()),
        "remember" => {
            trusted.remember(&argument.parse().unwrap(), file);
            Ok(())
        }
        "timestamp" => trusted.timestamp(file, now()),
        "snapshot" => trusted.snapshot(file, now()),
        "targets" => trusted.targets(&argument.parse().unwrap(), file, now()),
        other => panic!("{other} is no step"),
    }
}

#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn step(mut self, step: &str, file: &[u8]) -> Self {
        assert!(!file.contains(&b'\n'));
        self.0.extend_from_slice(step.as_bytes());
        self.0.push(b'\t');
        self.0.extend_from_slice(file);
        self.0.push(b'\n');
        self
    }

    fn root(files: &Files) -> Self {
        Self::default().step("first", &files.root)
    }

    /// Root, timestamp.
    fn timestamp(files: &Files) -> Self {
        Self::root(files).step("timestamp", &files.timestamp)
    }

    /// Root, timestamp, snapshot.
    fn snapshot(files: &Files) -> Self {
        Self::timestamp(files).step("snapshot", &files.snapshot)
    }

    /// Root, timestamp, snapshot, targets.
    fn targets(files: &Files) -> Self {
        Self::snapshot(files).step("targets targets", &files.targets)
    }

    fn releases(files: &Files) -> Self {
        Self::targets(files).step("targets targets/releases", &files.releases)
    }
}

macro_rules! refusal {
    ($pattern:pat) => {
        |error| matches!(error, $pattern)
    };
}

fn case(name: &str, script: Script, expected: fn(&TrustError) -> bool) -> Case {
    Case { name: format!("trust-{name}.txt"), made: script.0, expected }
}

/// A file whose one signature is valid base64 of the right length, and wrong.
fn badly_signed(mut file: Vec<u8>) -> Vec<u8> {
    let tail = b"\"sig\":\"";
    let at = file.windows(tail.len()).position(|window| window == tail).unwrap() + tail.len();
    file[at] = if file[at] == b'A' { b'B' } else { b'A' };
    file
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(signatures());
    cases.extend(thresholds());
    cases.extend(times());
    cases.extend(rollbacks());
    cases.extend(mixtures());
    cases.extend(roots());
    cases
}

fn signatures() -> Vec<Case> {
    let world = World::new();
    let (good, stranger) = (world.files(), Key::plain(99));
    let over_targets = |targets: Vec<u8>| world.over(good.root.clone(), targets, good.releases.clone());
    let over_releases = |releases: Vec<u8>| world.over(good.root.clone(), good.targets.clone(), releases);
    let timestamp = Files { timestamp: badly_signed(good.timestamp.clone()), ..good.clone() };
    let snapshot = world.stamp(Files { snapshot: badly_signed(good.snapshot.clone()), ..good.clone() });
    let root = Files { root: badly_signed(good.root.clone()), ..good.clone() };
    vec![
        case(
            "root-bad-signature",
            Script::root(&root),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Root, .. }),
        ),
        case(
            "timestamp-bad-signature",
            Script::timestamp(&timestamp),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Timestamp, .. }),
        ),
        case(
            "snapshot-bad-signature",
            Script::snapshot(&snapshot),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Snapshot, .. }),
        ),
        case(
            "targets-bad-signature",
            Script::targets(&over_targets(badly_signed(good.targets.clone()))),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Targets, .. }),
        ),
        case(
            "releases-bad-signature",
            Script::releases(&over_releases(badly_signed(good.releases.clone()))),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Delegation(_), .. }),
        ),
        case(
            "targets-wrong-key",
            Script::targets(&over_targets(file(&world.targets, &[&stranger]))),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Targets, .. }),
        ),
        case(
            "releases-signed-by-the-targets-key",
            Script::releases(&over_releases(file(&world.releases, &[&world.targets_key]))),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Delegation(_), .. }),
        ),
        case(
            "timestamp-signed-by-the-snapshot-key",
            Script::timestamp(&Files { timestamp: resigned(&world, &good), ..good.clone() }),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Timestamp, .. }),
        ),
        case(
            "wrong-type",
            Script::timestamp(&Files { timestamp: good.targets.clone(), ..good.clone() }),
            refusal!(TrustError::Invalid { role: RoleName::Timestamp, .. }),
        ),
    ]
}

fn resigned(world: &World, good: &Files) -> Vec<u8> {
    let timestamp = touchmark_tuf::Timestamp {
        expires: world.timestamp.1.clone(),
        snapshot: FileMeta::of(&good.snapshot),
        version: world.timestamp.0,
    };
    file(&timestamp, &[&world.snapshot_key])
}

fn thresholds() -> Vec<Case> {
    let mut world = World::new();
    let second = Key::plain(9);
    world.root.keys.insert(second.public.id(), second.public.clone());
    world.root.roles.targets.key_ids.push(second.public.id());
    world.root.roles.targets.threshold = 2.try_into().unwrap();
    let one = world.files();
    let signed_twice = String::from_utf8(one.targets.clone()).unwrap();
    let (head, signature) = signed_twice.split_once(r#""signatures":["#).unwrap();
    let signature = signature.strip_suffix("]}").unwrap();
    let twice = format!(r#"{head}"signatures":[{signature},{signature}]}}"#);
    let twice = world.over(one.root.clone(), twice.into_bytes(), one.releases.clone());

    // One key in two certificates, both listed for the root role.
    let mut same = World::new();
    let again = Key::certified(1, &gun(), 2, -10, 3650);
    same.root.keys.insert(again.public.id(), again.public.clone());
    same.root.roles.root.key_ids.push(again.public.id());
    same.root.roles.root.threshold = 2.try_into().unwrap();
    let same = file(&same.root, &[&same.root_key, &again]);
    vec![
        case(
            "threshold-not-met",
            Script::targets(&one),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Targets, .. }),
        ),
        case(
            "duplicate-key-ids-in-signatures",
            Script::targets(&twice),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Targets, .. }),
        ),
        case(
            "same-key-material-under-two-ids",
            Script::default().step("first", &same),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Root, .. }),
        ),
    ]
}

fn times() -> Vec<Case> {
    let changed = |change: fn(&mut World)| {
        let mut world = World::new();
        change(&mut world);
        world.files()
    };
    let root = changed(|world| world.root.expires = days(-1));
    let certificate = changed(|world| {
        world.root_key = Key::certified(1, &gun(), 1, -9, -1);
        let [targets, snapshot, timestamp] = [&world.targets_key, &world.snapshot_key, &world.timestamp_key];
        let certificates = std::slice::from_ref(&world.root_key.public);
        let keys = (&targets.public, &snapshot.public, &timestamp.public);
        world.root = touchmark_tuf::first_root(
            &gun(),
            certificates,
            NonZeroU32::MIN,
            keys.0,
            keys.1,
            keys.2,
            days(99),
        )
        .unwrap();
    });
    vec![
        case(
            "root-expired",
            Script::root(&root).step("check", b""),
            refusal!(TrustError::Expired { role: RoleName::Root, .. }),
        ),
        case(
            "root-certificate-expired",
            Script::root(&certificate).step("check", b""),
            refusal!(TrustError::CertificateDates { .. }),
        ),
        case(
            "timestamp-expired",
            Script::timestamp(&changed(|world| world.timestamp.1 = days(-1))),
            refusal!(TrustError::Expired { role: RoleName::Timestamp, .. }),
        ),
        case(
            "snapshot-expired",
            Script::snapshot(&changed(|world| world.snapshot.1 = days(-1))),
            refusal!(TrustError::Expired { role: RoleName::Snapshot, .. }),
        ),
        case(
            "targets-expired",
            Script::targets(&changed(|world| world.targets.expires = days(-1))),
            refusal!(TrustError::Expired { role: RoleName::Targets, .. }),
        ),
        case(
            "releases-expired",
            Script::releases(&changed(|world| world.releases.expires = days(-1))),
            refusal!(TrustError::Expired { role: RoleName::Delegation(_), .. }),
        ),
    ]
}

fn rollbacks() -> Vec<Case> {
    let mut newer = World::new();
    let old = newer.files();
    newer.targets.version = version(3);
    newer.releases.version = version(3);
    newer.snapshot.0 = version(3);
    newer.timestamp.0 = version(3);
    newer.root.version = version(2);
    let seen = newer.files();
    let remembered = |role: &str, file: &[u8]| Script::root(&old).step(&format!("remember {role}"), file);
    let timestamp = remembered("timestamp", &seen.timestamp).step("timestamp", &old.timestamp);
    let snapshot = remembered("snapshot", &seen.snapshot)
        .step("timestamp", &old.timestamp)
        .step("snapshot", &old.snapshot);
    let below = |script: Script| script.step("timestamp", &old.timestamp).step("snapshot", &old.snapshot);
    let targets = below(remembered("targets", &seen.targets)).step("targets targets", &old.targets);
    let releases =
        below(remembered("targets/releases", &seen.releases)).step("targets targets", &old.targets);
    let root = Script::default().step("cached", &seen.root).step("advance", &old.root);
    vec![
        case("root-rollback", root, refusal!(TrustError::Rollback { role: RoleName::Root, .. })),
        case(
            "timestamp-rollback",
            timestamp,
            refusal!(TrustError::Rollback { role: RoleName::Timestamp, .. }),
        ),
        case("snapshot-rollback", snapshot, refusal!(TrustError::Rollback { role: RoleName::Snapshot, .. })),
        case("targets-rollback", targets, refusal!(TrustError::Rollback { role: RoleName::Targets, .. })),
        case(
            "releases-rollback",
            releases.step("targets targets/releases", &old.releases),
            refusal!(TrustError::Rollback { role: RoleName::Delegation(_), .. }),
        ),
    ]
}

fn mixtures() -> Vec<Case> {
    let mut world = World::new();
    let good = world.files();
    world.targets.version = version(3);
    world.releases.version = version(3);
    world.snapshot.0 = version(3);
    let other = world.files();

    // A snapshot without releases, after one that had it.
    let meta = [(RoleName::Root, FileMeta::of(&good.root)), (RoleName::Targets, FileMeta::of(&good.targets))];
    let bare = touchmark_tuf::Snapshot { expires: days(800), meta: meta.into(), version: version(3) };
    let bare = world.stamp(Files { snapshot: file(&bare, &[&world.snapshot_key]), ..good.clone() });
    let large = vec![b' '; touchmark_tuf::limits::TIMESTAMP_BYTES + 1];
    let hidden = Script::root(&bare).step("remember snapshot", &good.snapshot);
    let hidden = hidden.step("timestamp", &bare.timestamp).step("snapshot", &bare.snapshot);
    let mut outdated = World::new();
    outdated.root.version = version(2);
    vec![
        case(
            "snapshot-hash-mismatch",
            Script::timestamp(&good).step("snapshot", &other.snapshot),
            refusal!(TrustError::HashMismatch { role: RoleName::Snapshot, .. }),
        ),
        case(
            "targets-hash-mismatch",
            Script::snapshot(&good).step("targets targets", &other.targets),
            refusal!(TrustError::HashMismatch { role: RoleName::Targets, .. }),
        ),
        case(
            "releases-hash-mismatch",
            Script::targets(&good).step("targets targets/releases", &other.releases),
            refusal!(TrustError::HashMismatch { role: RoleName::Delegation(_), .. }),
        ),
        case(
            "snapshot-lists-another-root",
            Script::snapshot(&Files { root: good.root.clone(), ..outdated.files() }),
            refusal!(TrustError::RootOutdated { .. }),
        ),
        case(
            "delegation-not-listed",
            Script::targets(&good).step("targets targets/mallory", &good.releases),
            refusal!(TrustError::MissingDelegation { .. }),
        ),
        case(
            "delegation-before-its-parent",
            Script::snapshot(&good).step("targets targets/releases", &good.releases),
            refusal!(TrustError::MissingDelegation { .. }),
        ),
        case(
            "delegation-not-in-the-snapshot",
            Script::targets(&good).step("targets targets/alice", &good.releases),
            refusal!(TrustError::NotInSnapshot { .. }),
        ),
        case(
            "delegation-vanished",
            hidden.step("targets targets", &bare.targets),
            refusal!(TrustError::Vanished { .. }),
        ),
        case(
            "timestamp-too-large",
            Script::root(&good).step("timestamp", &large),
            refusal!(TrustError::TooLarge { role: RoleName::Timestamp, .. }),
        ),
    ]
}

fn roots() -> Vec<Case> {
    let world = World::new();
    let new_key = Key::certified(9, &gun(), 9, -1, 99);
    let change = [
        RootChange::AddRootKey(new_key.public.clone()),
        RootChange::RemoveRootKey(world.root_key.public.id()),
    ];
    let next = next_root(&gun(), &world.root, &change, days(99)).unwrap();
    let after = Root { version: version(3), ..next.clone() };
    let both = |root: &Root| file(root, &[&world.root_key, &new_key]);
    let good = world.files();
    let advance = |file: &[u8]| Script::root(&good).step("advance", file);
    let replaced = Root { expires: days(98), ..world.root.clone() };
    let stranger = new_key.public.id();
    let other = Key::certified(1, &"registry.example.com/other".parse().unwrap(), 1, -1, 99);
    let mut elsewhere = world.root.clone();
    elsewhere.roles.root.key_ids = vec![other.public.id()];
    elsewhere.keys.insert(other.public.id(), other.public.clone());
    vec![
        case("root-chain-gap", advance(&both(&after)), refusal!(TrustError::RootGap { .. })),
        case(
            "root-new-keys-only",
            advance(&file(&next, &[&new_key])),
            refusal!(TrustError::RootChanged { .. }),
        ),
        case(
            "root-old-keys-only",
            advance(&file(&next, &[&world.root_key])),
            refusal!(TrustError::SignatureInvalid { role: RoleName::Root, .. }),
        ),
        case(
            "root-same-version-other-content",
            advance(&file(&replaced, &[&world.root_key])),
            refusal!(TrustError::RootReplaced { .. }),
        ),
        case(
            "root-pin-mismatch",
            Script::default().step(&format!("first {stranger}"), &good.root),
            refusal!(TrustError::PinMismatch { .. }),
        ),
        case(
            "root-for-another-repository",
            Script::default().step("first", &file(&elsewhere, &[&other])),
            refusal!(TrustError::CertificateName { .. }),
        ),
        case(
            "root-wrong-type",
            advance(&good.targets),
            refusal!(TrustError::Invalid { role: RoleName::Root, .. }),
        ),
    ]
}
