//! Keys and repositories for tests, the same ones on every run.
use std::num::NonZeroU32;
use std::sync::Arc;

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use touchmark_tuf::{
    DelegationName, Document, EcdsaSignature, Expires, FileMeta, Gun, Instant, Pin, PublicKey, Ring,
    RoleName, Root, RootSource, Sha256Digest, Signature, Snapshot, Target, TargetChange, TargetName, Targets,
    Timestamp, TrustError, Trusted, Version, assemble, first_root, first_targets, next_targets, to_be_signed,
};

/// 2027-01-15T08:00:00Z, when the tests read.
pub(crate) const NOW: i64 = 1_800_000_000;
/// One day in seconds.
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> Instant {
    Instant::from_unix(NOW)
}

/// An expiry that many days after `NOW`.
pub(crate) fn days(days: i64) -> Expires {
    Expires::at(Instant::from_unix(NOW + days * DAY))
}

pub(crate) fn gun() -> Gun {
    "registry.example.com/team/app".parse().unwrap()
}

pub(crate) fn version(number: u64) -> Version {
    number.try_into().unwrap()
}

pub(crate) fn tag(name: &str) -> TargetName {
    name.parse().unwrap()
}

/// A target whose manifest is that text.
pub(crate) fn target(manifest: &str) -> Target {
    Target::new(Sha256Digest::of(manifest.as_bytes()), manifest.len() as u64)
}

/// A private key with the public key that documents list for it.
#[derive(Clone)]
pub(crate) struct Key {
    secret: SigningKey,
    pub(crate) public: PublicKey,
}

impl Key {
    /// The plain key number `seed`.
    pub(crate) fn plain(seed: u8) -> Self {
        let mut scalar = [0; 32];
        scalar[0] = 0x11;
        scalar[31] = seed;
        let secret = SigningKey::from_slice(&scalar).unwrap();
        let point: [u8; 65] = secret.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap();
        Self { public: PublicKey::from_p256_point(&point), secret }
    }

    /// The key number `seed` in a certificate for `gun`, valid for the days around `NOW`.
    pub(crate) fn certified(seed: u8, gun: &Gun, serial: u8, from: i64, until: i64) -> Self {
        let plain = Self::plain(seed);
        let at = |days: i64| Instant::from_unix(NOW + days * DAY);
        let point = plain.public.p256_point().unwrap();
        let unsigned = to_be_signed(gun, &point, [serial; 16], at(from), at(until)).unwrap();
        let signature = plain.raw(unsigned.bytes());
        Self { public: unsigned.finish(&signature).unwrap().public_key(), secret: plain.secret }
    }

    pub(crate) fn raw(&self, message: &[u8]) -> EcdsaSignature {
        let signature: p256::ecdsa::Signature = self.secret.sign(message);
        EcdsaSignature::from_raw(signature.to_bytes().into())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature::ecdsa(self.public.id(), &self.raw(message))
    }
}

/// The file of a document with the signatures of these keys.
pub(crate) fn file<D: Document>(document: &D, keys: &[&Key]) -> Vec<u8> {
    let signed = document.write();
    assemble(&signed, &keys.iter().map(|key| key.sign(&signed)).collect::<Vec<_>>()).unwrap()
}

/// A repository with one key for each role, one signer and one tag in `targets` and in `targets/releases`.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) root_key: Key,
    pub(crate) targets_key: Key,
    pub(crate) snapshot_key: Key,
    pub(crate) timestamp_key: Key,
    pub(crate) signer_key: Key,
    pub(crate) root: Root,
    pub(crate) targets: Targets,
    pub(crate) releases: Targets,
    pub(crate) snapshot: (Version, Expires),
    pub(crate) timestamp: (Version, Expires),
}

/// The files of a repository, fitting one another.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) root: Vec<u8>,
    pub(crate) targets: Vec<u8>,
    pub(crate) releases: Vec<u8>,
    pub(crate) snapshot: Vec<u8>,
    pub(crate) timestamp: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        let root_key = Key::certified(1, &gun(), 1, -10, 3650);
        let [targets_key, snapshot_key, timestamp_key, signer_key] = [2, 3, 4, 5].map(Key::plain);
        let root = first_root(
            &gun(),
            std::slice::from_ref(&root_key.public),
            NonZeroU32::MIN,
            &targets_key.public,
            &snapshot_key.public,
            &timestamp_key.public,
            days(3650),
        )
        .unwrap();
        let signer = TargetChange::AddSigner {
            name: DelegationName::new("alice").unwrap(),
            keys: vec![signer_key.public.clone()],
        };
        let set =
            |name: &str, manifest: &str| TargetChange::Set { name: tag(name), target: target(manifest) };
        let targets = first_targets(days(1000));
        let targets =
            next_targets(&targets, &[set("1", "one"), set("base", "base"), signer], days(1000)).unwrap();
        let releases =
            next_targets(&first_targets(days(900)), &[set("1", "one of alice")], days(900)).unwrap();
        Self {
            root_key,
            targets_key,
            snapshot_key,
            timestamp_key,
            signer_key,
            root,
            targets,
            releases,
            snapshot: (version(2), days(800)),
            timestamp: (version(2), days(14)),
        }
    }

    pub(crate) fn root_file(&self) -> Vec<u8> {
        file(&self.root, &[&self.root_key])
    }

    pub(crate) fn targets_file(&self) -> Vec<u8> {
        file(&self.targets, &[&self.targets_key])
    }

    pub(crate) fn releases_file(&self) -> Vec<u8> {
        file(&self.releases, &[&self.signer_key])
    }

    pub(crate) fn files(&self) -> Files {
        self.over(self.root_file(), self.targets_file(), self.releases_file())
    }

    /// A snapshot and a timestamp over files of any content.
    pub(crate) fn over(&self, root: Vec<u8>, targets: Vec<u8>, releases: Vec<u8>) -> Files {
        let meta = [
            (RoleName::Root, FileMeta::of(&root)),
            (RoleName::Targets, FileMeta::of(&targets)),
            (RoleName::releases(), FileMeta::of(&releases)),
        ];
        let (version, expires) = self.snapshot.clone();
        let snapshot = Snapshot { expires, meta: meta.into(), version };
        self.stamp(Files {
            root,
            targets,
            releases,
            snapshot: file(&snapshot, &[&self.snapshot_key]),
            timestamp: Vec::new(),
        })
    }

    /// The same files under a new timestamp.
    pub(crate) fn stamp(&self, files: Files) -> Files {
        let (version, expires) = self.timestamp.clone();
        let timestamp = Timestamp { expires, snapshot: FileMeta::of(&files.snapshot), version };
        Files { timestamp: file(&timestamp, &[&self.timestamp_key]), ..files }
    }
}

impl Files {
    /// Begins with the root, on first use.
    pub(crate) fn start(&self) -> Result<Trusted, TrustError> {
        Trusted::start(&gun(), RootSource::First { file: &self.root, pin: &Pin::FirstUse }, Arc::new(Ring))
    }

    /// Everything below the root, in order.
    pub(crate) fn feed(&self, trusted: &mut Trusted) -> Result<(), TrustError> {
        trusted.timestamp(&self.timestamp, now())?;
        trusted.snapshot(&self.snapshot, now())?;
        trusted.targets(&RoleName::Targets, &self.targets, now())?;
        trusted.targets(&RoleName::releases(), &self.releases, now())
    }

    pub(crate) fn read(&self) -> Result<Trusted, TrustError> {
        let mut trusted = self.start()?;
        self.feed(&mut trusted)?;
        Ok(trusted)
    }
}
