//! The reader's state machine: files made from valid ones by the fuzzer's orders, signed by the right keys or by
//! others, fed in any order. Whatever is accepted is checked again, by p256 and a memory of our own.
#[path = "../../tuf/src/testing.rs"]
#[expect(dead_code, reason = "made for the unit tests of the documents")]
mod testing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex};

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey};
use testing::{DAY, Files, Key, NOW, World, days, file, gun, tag, target, version};
use touchmark_tuf::{
    Document, FileMeta, Instant, KeyId, Pin, PublicKey, Ring, RoleKeys, RoleName, Root, RootSource,
    Sha256Digest, Snapshot, TargetChange, Timestamp, Trusted, Verified, Version, next_targets,
};

use crate::Input;

/// Orders in one run.
const STEPS: usize = 24;

/// Made once: signing is what costs here.
static START: LazyLock<(World, Files, Vec<Key>)> = LazyLock::new(|| {
    let world = World::new();
    let files = world.files();
    let mut keys = vec![world.root_key.clone(), world.targets_key.clone(), world.snapshot_key.clone()];
    keys.extend([world.timestamp_key.clone(), world.signer_key.clone()]);
    keys.push(Key::certified(7, &gun(), 2, -10, 3650));
    keys.push(Key::certified(8, &"registry.example.com/other".parse().unwrap(), 3, -10, 3650));
    keys.push(Key::plain(9));
    (world, files, keys)
});

/// What p256 said before: it takes long, and the same files come again and again.
struct Memory<T>(LazyLock<Mutex<HashMap<Sha256Digest, T>>>);

static SIGNED: Memory<Vec<u8>> = Memory(LazyLock::new(Mutex::default));
static VERIFIED: Memory<bool> = Memory(LazyLock::new(Mutex::default));

impl<T: Clone> Memory<T> {
    fn recall(&self, what: Sha256Digest, make: impl FnOnce() -> T) -> T {
        let mut known = self.0.lock().unwrap();
        if known.len() > 20_000 {
            known.clear();
        }
        known.entry(what).or_insert_with(make).clone()
    }
}

/// Orders for one reader of one repository.
pub fn reader(data: &[u8]) {
    let (world, files, keys) = LazyLock::force(&START).clone();
    let mut run = Run::new(world, files, keys);
    let mut input = Input::new(data);
    for _ in 0..STEPS {
        if input.is_empty() {
            return;
        }
        run.step(&mut input);
    }
}

struct Run {
    world: World,
    files: Files,
    old: Files,
    keys: Vec<Key>,
    /// Who signs next, as places in `keys`, by role.
    signers: BTreeMap<u8, u8>,
    now: Instant,
    trusted: Trusted,
    /// The highest versions that the reader accepted under this root.
    highest: BTreeMap<RoleName, Version>,
}

const ROOT: u8 = 0;
const TARGETS: u8 = 1;
const RELEASES: u8 = 2;
const SNAPSHOT: u8 = 3;
const TIMESTAMP: u8 = 4;

impl Run {
    fn new(world: World, files: Files, keys: Vec<Key>) -> Self {
        let start = RootSource::First { file: &files.root, pin: &Pin::FirstUse };
        let trusted = Trusted::start(&gun(), start, Arc::new(Ring)).unwrap();
        let old = files.clone();
        let now = Instant::from_unix(NOW);
        let signers =
            BTreeMap::from([(ROOT, 1), (TARGETS, 2), (RELEASES, 16), (SNAPSHOT, 4), (TIMESTAMP, 8)]);
        Self { world, files, old, keys, signers, now, trusted, highest: BTreeMap::new() }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.feed(TIMESTAMP),
            1 => self.feed(SNAPSHOT),
            2 => self.feed(TARGETS),
            3 => self.feed(RELEASES),
            4 => self.feed(ROOT),
            5 => [TIMESTAMP, SNAPSHOT, TARGETS, RELEASES].into_iter().for_each(|role| self.feed(role)),
            6 => {
                self.old = self.files.clone();
                self.stamp();
            }
            7 => std::mem::swap(&mut self.old, &mut self.files),
            8 => drop(self.signers.insert(input.byte() % 5, input.byte())),
            9 => self.damage(input),
            10 => self.write_targets(input),
            11 => self.write_root(input),
            12 => self.renumber(input),
            13 => self.redate(input),
            14 => {
                let (role, bytes) = self.file_of(input.byte() % 5);
                let bytes = bytes.clone();
                self.trusted.remember(&role, &bytes);
            }
            _ => self.now = Instant::from_unix(NOW + i64::from(input.byte()) * DAY * 20),
        }
    }

    fn file_of(&mut self, which: u8) -> (RoleName, &mut Vec<u8>) {
        match which {
            ROOT => (RoleName::Root, &mut self.files.root),
            TARGETS => (RoleName::Targets, &mut self.files.targets),
            RELEASES => (RoleName::releases(), &mut self.files.releases),
            SNAPSHOT => (RoleName::Snapshot, &mut self.files.snapshot),
            _ => (RoleName::Timestamp, &mut self.files.timestamp),
        }
    }

    /// The document's file, signed by whoever signs that role now.
    fn sign<D: Document>(&self, which: u8, document: &D) -> Vec<u8> {
        let mask = self.signers.get(&which).copied().unwrap_or(0);
        let mask = if mask == 0 { 0x80 } else { mask };
        let what = Sha256Digest::of(&[document.write().as_slice(), &[mask]].concat());
        SIGNED.recall(what, || {
            let chosen = self.keys.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
            file(document, &chosen.map(|(_, key)| key).collect::<Vec<_>>())
        })
    }

    /// A new snapshot and timestamp over the files as they are.
    fn stamp(&mut self) {
        let (version, expires) = self.world.snapshot.clone();
        let meta = [
            (RoleName::Root, FileMeta::of(&self.files.root)),
            (RoleName::Targets, FileMeta::of(&self.files.targets)),
            (RoleName::releases(), FileMeta::of(&self.files.releases)),
        ];
        self.files.snapshot = self.sign(SNAPSHOT, &Snapshot { expires, meta: meta.into(), version });
        let (version, expires) = self.world.timestamp.clone();
        let snapshot = FileMeta::of(&self.files.snapshot);
        self.files.timestamp = self.sign(TIMESTAMP, &Timestamp { expires, snapshot, version });
    }

    fn damage(&mut self, input: &mut Input<'_>) {
        let (_, bytes) = self.file_of(input.byte() % 5);
        let at = usize::from(input.number()) % bytes.len();
        bytes[at] ^= input.byte();
    }

    fn write_targets(&mut self, input: &mut Input<'_>) {
        let (kind, name) = (input.byte(), format!("v{}", input.byte() % 4));
        let change = TargetChange::Set { name: tag(&name), target: target(&name) };
        let of = if kind & 1 == 0 { &mut self.world.targets } else { &mut self.world.releases };
        *of = next_targets(of, &[change], days(500)).unwrap_or_else(|_| of.clone());
        for role in &mut self.world.targets.delegations.roles {
            if kind & 2 == 2 {
                role.threshold = NonZeroU32::new(u32::from(kind >> 4)).unwrap_or(NonZeroU32::MIN);
            }
            if kind & 4 == 4 {
                role.paths = vec![format!("v{}", kind >> 6)];
            }
        }
        if kind & 8 == 8 {
            let key = self.keys[usize::from(kind >> 5)].public.clone();
            if let Some(role) = self.world.targets.delegations.roles.last_mut() {
                if !role.key_ids.contains(&key.id()) {
                    role.key_ids.push(key.id());
                }
                self.world.targets.delegations.keys.insert(key.id(), key);
            }
        }
        self.files.targets = self.sign(TARGETS, &self.world.targets);
        self.files.releases = self.sign(RELEASES, &self.world.releases);
    }

    fn write_root(&mut self, input: &mut Input<'_>) {
        let (which, places, threshold) = (input.byte(), input.byte(), input.byte());
        let listed: Vec<PublicKey> = (0..8)
            .filter(|place| places >> place & 1 == 1)
            .map(|place: usize| self.keys[place].public.clone())
            .collect();
        let root = &mut self.world.root;
        root.version = root.version.next().unwrap_or(Version::FIRST);
        let threshold = NonZeroU32::new(u32::from(threshold % 4)).unwrap_or(NonZeroU32::MIN);
        let role = RoleKeys { key_ids: listed.iter().map(PublicKey::id).collect(), threshold };
        match which % 5 {
            0 => root.roles.root = role,
            1 => root.roles.targets = role,
            2 => root.roles.snapshot = role,
            3 => root.roles.timestamp = role,
            _ => {}
        }
        root.keys.extend(listed.into_iter().map(|key| (key.id(), key)));
        self.files.root = self.sign(ROOT, &self.world.root);
    }

    fn renumber(&mut self, input: &mut Input<'_>) {
        let (which, number) = (input.byte() % 5, u64::from(input.byte()).max(1));
        match which {
            ROOT => self.world.root.version = version(number),
            TARGETS => self.world.targets.version = version(number),
            RELEASES => self.world.releases.version = version(number),
            SNAPSHOT => self.world.snapshot.0 = version(number),
            _ => self.world.timestamp.0 = version(number),
        }
    }

    fn redate(&mut self, input: &mut Input<'_>) {
        let (which, until) = (input.byte() % 5, days(i64::from(input.byte()) * 20 - 100));
        match which {
            ROOT => self.world.root.expires = until,
            TARGETS => self.world.targets.expires = until,
            RELEASES => self.world.releases.expires = until,
            SNAPSHOT => self.world.snapshot.1 = until,
            _ => self.world.timestamp.1 = until,
        }
    }

    fn feed(&mut self, which: u8) {
        let (now, before) = (self.now, self.trusted.root().version());
        let (role, bytes) = self.file_of(which);
        let bytes = bytes.clone();
        let fed = match which {
            ROOT => self.trusted.advance_root(&bytes),
            TIMESTAMP => self.trusted.timestamp(&bytes, now),
            SNAPSHOT => self.trusted.snapshot(&bytes, now),
            _ => self.trusted.targets(&role, &bytes, now),
        };
        let root = self.trusted.root();
        self_signed(root);
        if which == ROOT {
            if root.version() != before {
                assert!(fed.is_ok());
                assert_eq!(before.next(), Some(root.version()), "one step at a time");
                self.highest.clear();
            }
            return;
        }
        assert_eq!(root.version(), before);
        if fed.is_err() {
            return;
        }
        if which == TIMESTAMP {
            self.trusted.check_root(now).expect("no timestamp is believed under a root that is not");
        }
        self.accepted(&role, &bytes, now);
    }

    fn accepted(&mut self, role: &RoleName, bytes: &[u8], now: Instant) {
        let root = self.trusted.root();
        let version = match role {
            RoleName::Timestamp => {
                let document = self.trusted.timestamp_doc().expect("it was accepted");
                check(document, bytes, &root.roles.timestamp, &root.keys, now)
            }
            RoleName::Snapshot => {
                let document = self.trusted.snapshot_doc().expect("it was accepted");
                let listed = &self.trusted.timestamp_doc().expect("it comes first").snapshot;
                assert!(listed.describes(bytes));
                check(document, bytes, &root.roles.snapshot, &root.keys, now)
            }
            RoleName::Targets => {
                let document = self.trusted.document(role).expect("it was accepted");
                assert!(self.trusted.file_meta(role).is_some_and(|listed| listed.describes(bytes)));
                check(document, bytes, &root.roles.targets, &root.keys, now)
            }
            RoleName::Delegation(name) => {
                let document = self.trusted.document(role).expect("it was accepted");
                assert!(self.trusted.file_meta(role).is_some_and(|listed| listed.describes(bytes)));
                let parent = self.trusted.document(&RoleName::Targets).expect("parents come first");
                let listed = parent.delegation(name).expect("its parent lists it");
                check(document, bytes, &listed.role_keys(), &parent.delegations.keys, now)
            }
            RoleName::Root => unreachable!("it is not fed here"),
        };
        let highest = self.highest.entry(role.clone()).or_insert(version);
        assert!(version >= *highest, "{role} went back from {highest} to {version}");
        *highest = version;
    }
}

/// What must hold of a document that the reader believes.
fn check<D: Document>(
    document: &Verified<D>,
    bytes: &[u8],
    role: &RoleKeys,
    keys: &BTreeMap<KeyId, PublicKey>,
    now: Instant,
) -> Version {
    assert_eq!(document.file(), bytes);
    assert!(document.expires().instant() >= now, "expired");
    assert!(signed_by(document, role, keys), "too few of the role's keys signed");
    document.version()
}

fn self_signed(root: &Verified<Root>) {
    assert!(signed_by(root, &root.roles.root, &root.keys), "its own keys did not sign the root");
}

/// Whether enough different keys signed, as p256 sees it.
fn signed_by<D: Document>(
    document: &Verified<D>,
    role: &RoleKeys,
    keys: &BTreeMap<KeyId, PublicKey>,
) -> bool {
    let mut points = BTreeSet::new();
    for key_id in &role.key_ids {
        let Some(point) = keys.get(key_id).and_then(PublicKey::p256_point) else { continue };
        let Ok(key) = VerifyingKey::from_sec1_bytes(&point) else { continue };
        let own = document.signatures().iter().filter(|signature| signature.key_id == *key_id);
        let mut made = own.filter_map(|signature| P256Signature::from_slice(&signature.bytes).ok());
        let valid = |signature: P256Signature| {
            let parts = [point.as_slice(), &signature.to_bytes(), document.signed_bytes()].concat();
            let check = || key.verify(document.signed_bytes(), &signature).is_ok();
            VERIFIED.recall(Sha256Digest::of(&parts), check)
        };
        if made.any(valid) {
            points.insert(point);
        }
    }
    points.len() >= usize::try_from(role.threshold.get()).unwrap()
}
