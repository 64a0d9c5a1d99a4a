//! What clients were told, against what the daemon knows after each start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hsm_tests::signing::{Failure, Repository, expiry};
use tonic::transport::Channel;
use touchmark_proto::audit::Chain;
use touchmark_proto::v1;
use touchmark_proto::v1::audit_client::AuditClient;
use touchmark_tuf::{Expires, Sha256Digest};

/// A repository and a version in it.
type Slot = (String, u64);
/// The signatures of a version, by the digest of what was signed.
type Signed = BTreeMap<[u8; 32], Vec<u8>>;

/// Every signature that a client ever got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged(Arc<Mutex<BTreeMap<Slot, Signed>>>);

impl Acknowledged {
    /// A signature came.
    pub(crate) fn note(&self, gun: &str, version: u64, bytes: &[u8], signature: Vec<u8>) {
        let digest = *Sha256Digest::of(bytes).as_bytes();
        let mut all = self.0.lock().unwrap();
        all.entry((gun.to_owned(), version)).or_default().insert(digest, signature);
    }

    /// How many versions were signed.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// How many of its versions the ledger does not have as they were signed.
    pub(crate) async fn missing(&self, channel: &Channel, repository: &Repository) -> Result<usize, Failure> {
        let entries = repository.ledger(channel).await?;
        let gun = &repository.gun;
        let has = |version: u64, digest: &[u8; 32]| {
            entries
                .iter()
                .any(|entry| entry.version == version && entry.sha256 == digest && entry.state == "released")
        };
        let all = self.0.lock().unwrap();
        let signed = all.range((gun.clone(), 0)..=(gun.clone(), u64::MAX));
        Ok(signed.filter(|((_, version), signed)| !signed.keys().all(|digest| has(*version, digest))).count())
    }

    /// No version was ever given two contents, and the ledger has each one as it was signed.
    pub(crate) async fn holds(&self, channel: &Channel, repository: &Repository) {
        let gun = &repository.gun;
        let entries = repository.ledger(channel).await.unwrap();
        let known: BTreeMap<u64, &v1::LedgerEntry> =
            entries.iter().map(|entry| (entry.version, entry)).collect();
        let mut newest = 1; // made with the repository
        for ((_, version), signed) in self.0.lock().unwrap().range((gun.clone(), 0)..=(gun.clone(), u64::MAX))
        {
            let digests: BTreeSet<_> = signed.keys().collect();
            assert_eq!(digests.len(), 1, "{gun} version {version} was signed with several contents");
            let entry = known.get(version).unwrap_or_else(|| panic!("{gun} version {version} is lost"));
            assert_eq!(entry.sha256, digests.first().unwrap().as_slice(), "{gun} version {version}");
            assert_eq!(entry.state, "released", "{gun} version {version}");
            newest = newest.max(*version);
        }
        let Some(last) = repository.last(channel).await.unwrap() else {
            panic!("{gun} is forgotten");
        };
        assert!(last.version == newest || last.version == newest + 1, "{gun}: {last:?} after {newest}");
        // The newest one can be had, with a signature, and under its version nothing else.
        let signature = repository.sign(channel, last.bytes.clone()).await.unwrap();
        self.note(gun, last.version, &last.bytes, signature);
        let later = Expires::at(expiry().instant().plus(Duration::from_secs(3600)));
        let other = repository.targets(last.version, "something else", &later);
        assert_ne!(other, last.bytes);
        let refused = repository.sign(channel, other).await.unwrap_err();
        assert_eq!(refused.reason().map(|reason| reason.as_str()), Some("VERSION_REUSED"), "{refused:?}");
    }
}

/// The audit as far as it was read: whole, and never shorter than it was.
#[derive(Debug, Default)]
pub(crate) struct Audit(Option<(u64, [u8; 32])>);

impl Audit {
    /// Reads on, and checks the chain.
    pub(crate) async fn read_on(&mut self, channel: &Channel) -> Result<u64, Failure> {
        let (seq, head) = self.0.unwrap_or((0, touchmark_proto::audit::GENESIS));
        let mut client = AuditClient::new(channel.clone());
        let at_least = client.head(v1::AuditHeadRequest::default()).await?.into_inner().seq;
        assert!(at_least >= seq, "the audit had {seq} rows and has {at_least}");
        let mut chain = Chain::after(seq, head);
        let request = v1::AuditReadRequest { from_seq: seq + 1, limit: 0 };
        let mut rows = client.read(request).await?.into_inner();
        while let Some(row) = rows.message().await? {
            chain.push(&row).unwrap_or_else(|why| panic!("the audit is broken: {why}"));
        }
        let end = chain.finish().unwrap();
        assert!(end.0 >= at_least, "the audit ends at {}, its head was {at_least}", end.0);
        self.0 = Some(end);
        Ok(end.0)
    }
}
