//! A ceremony in memory for tests: keys in software, two repositories, what people sign of them, and the record.
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use touchmark_proto::transcript::{Chain, Moment};
use touchmark_tuf::{
    CheckSignature, Document as _, EcdsaSignature, Expires, Gun, Instant, KeyId, PublicKey, Ring, Root,
    RootChange, Sha256Digest, Signature, assemble, first_root, next_root, to_be_signed,
};

use super::assembly::gather;
use super::item::Item;
use super::plan::{Also, Occasion, Plan, Repository, RootKey};
use super::record::{Completed, FORMAT, Finished, Included, Merged, Noted, Published};
use super::transcript::{self, Asked, Audit, Begun, By, Device, Said, Sealed, SignedRoot, WrittenSignature};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// When everything happens.
pub(crate) fn clock() -> Moment {
    Moment { time_unix_ms: NOW * 1000, uptime_ms: 4_711 }
}

/// One root key in software.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
    pub(crate) label: &'static str,
}

impl Signer {
    pub(crate) fn new(label: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let public = PublicKey::from_p256_point(&pair.public_key().as_ref().try_into().unwrap());
        Self { pair, public, label }
    }

    pub(crate) fn id(&self) -> KeyId {
        self.public.canonical_id()
    }

    pub(crate) fn raw(&self, message: &[u8]) -> EcdsaSignature {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        EcdsaSignature::from_raw(signature.as_ref().try_into().unwrap())
    }

    fn certificate(&self, gun: &Gun) -> PublicKey {
        let at = |days: i64| Instant::from_unix(NOW + days * DAY);
        let point = self.public.p256_point().unwrap();
        let unsigned = to_be_signed(gun, &point, [7; 16], at(-30), at(3000)).unwrap();
        let signature = self.raw(unsigned.bytes());
        unsigned.finish(&signature).unwrap().public_key()
    }

    fn known(&self) -> RootKey {
        RootKey {
            public: self.public.clone(),
            label: self.label.to_owned(),
            token_kind: "pkcs11".to_owned(),
            serial: format!("serial of {}", self.label),
            firmware: "2.6".to_owned(),
            touch_policy: String::new(),
            pin_policy: String::new(),
            attestation: Vec::new(),
        }
    }
}

/// Alice holds the root key of two repositories; bob and carol come in, and two of the three must sign from now on.
pub(crate) struct World {
    pub(crate) alice: Signer,
    pub(crate) bob: Signer,
    pub(crate) carol: Signer,
    pub(crate) plan: Plan,
}

pub(crate) fn checker() -> Arc<dyn CheckSignature + Send + Sync> {
    Arc::new(Ring)
}

impl World {
    pub(crate) fn earnest() -> Self {
        Self::new(Occasion::Earnest, ["registry.example.com/team/app", "registry.example.com/team/web"])
    }

    pub(crate) fn rehearsal() -> Self {
        Self::new(Occasion::Rehearsal, ["rehearsal.invalid/app", "rehearsal.invalid/web"])
    }

    /// Somebody else's ceremony.
    pub(crate) fn of_mallory() -> Self {
        Self::new(Occasion::Earnest, ["mallory.example/one", "mallory.example/two"])
    }

    fn new(occasion: Occasion, names: [&str; 2]) -> Self {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(Signer::new);
        let repositories = names.map(|name| repository(&name.parse().unwrap(), [&alice, &bob, &carol]));
        let plan = Plan {
            title: "spring".to_owned(),
            occasion,
            made: Instant::from_unix(NOW - DAY),
            good_until: Instant::from_unix(NOW + 30 * DAY),
            tool: "touchmark 0".to_owned(),
            keys: [&alice, &bob, &carol].map(Signer::known).to_vec(),
            repositories: repositories.to_vec(),
        };
        Self { alice, bob, carol, plan }
    }

    pub(crate) fn plan_text(&self) -> String {
        String::from_utf8(self.plan.write()).unwrap()
    }

    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        let check = |one| Item::check(one, self.plan.occasion, &checker()).unwrap();
        self.plan.repositories.iter().map(check).collect()
    }

    /// What this signer says, without the seal.
    pub(crate) fn said(&self, signer: &Signer) -> Vec<Said> {
        let (serial, key) = (format!("serial of {}", signer.label), signer.id());
        let mut said = vec![
            Said::Begun(Begun {
                format: transcript::FORMAT.to_owned(),
                plan: Sha256Digest::of(self.plan_text().as_bytes()),
                title: self.plan.title.clone(),
                rehearsal: self.plan.occasion == Occasion::Rehearsal,
                tool: "touchmark 0".to_owned(),
                daemon: "touchmarkd 0".to_owned(),
                key,
            }),
            Said::Device(Device {
                token: signer.label.to_owned(),
                token_kind: "pkcs11".to_owned(),
                serial: serial.clone(),
                label: signer.label.to_owned(),
                firmware: "2.6".to_owned(),
                keys: vec![key],
                attestation: std::collections::BTreeMap::new(),
                attested: None,
            }),
            Said::Asked(Asked {
                question: "Sign 2 roots?".to_owned(),
                answer: "yes".to_owned(),
                by: By::Terminal,
            }),
        ];
        for (at, item) in self.items().iter().enumerate() {
            let document = &item.repository.root;
            let sign = |id: KeyId| WrittenSignature::of(&Signature::ecdsa(id, &signer.raw(document)));
            said.push(Said::Signed(SignedRoot {
                repository: item.repository.gun.clone(),
                role: "root".to_owned(),
                version: item.root.version.get(),
                digest: item.digest,
                key,
                signatures: item.listed_as(&key).into_iter().map(sign).collect(),
                differences: item.differences.iter().map(ToString::to_string).collect(),
                audit: Some(Audit { seq: at as u64 + 3, head: Sha256Digest::of(b"row") }),
                serial: serial.clone(),
            }));
        }
        said
    }

    /// The transcript of this signer, sealed.
    pub(crate) fn transcript(&self, signer: &Signer) -> String {
        sealed(signer, &self.said(signer))
    }

    /// What `merge` notes of these transcripts.
    pub(crate) fn merged(&self, texts: &[String]) -> Vec<Noted> {
        let mut notes = vec![Noted::Merged(Merged {
            format: FORMAT.to_owned(),
            plan: self.plan_text(),
            tool: "touchmark 0".to_owned(),
            rehearsal: self.plan.occasion == Occasion::Rehearsal,
        })];
        notes.extend(texts.iter().zip(["alice", "bob"]).map(|(text, label)| {
            Noted::Share(Included { name: format!("{label}.transcript"), transcript: text.clone() })
        }));
        let shares: Vec<_> = texts.iter().map(|text| transcript::Share::read(text).unwrap()).collect();
        let gathered = gather(&shares).0;
        for item in self.items() {
            let one = &gathered[&item.repository.gun];
            notes.push(Noted::Completed(Completed {
                repository: item.repository.gun.clone(),
                version: item.root.version.get(),
                digest: item.digest,
                file: String::from_utf8(one.complete(&item, &checker()).unwrap()).unwrap(),
                signers: one.signers.iter().copied().collect(),
            }));
        }
        notes
    }

    /// What `merge` and one run of `publish` note where alice and bob have signed.
    pub(crate) fn notes(&self) -> Vec<Noted> {
        let mut notes = self.merged(&[&self.alice, &self.bob].map(|signer| self.transcript(signer)));
        if self.plan.occasion == Occasion::Earnest {
            for item in self.items() {
                notes.push(Noted::Published(Published {
                    repository: item.repository.gun.clone(),
                    version: item.root.version.get(),
                    server: item.repository.server.clone(),
                    fresh_client: "version 2".to_owned(),
                    old_client: "version 2".to_owned(),
                    targets: 1,
                }));
            }
            notes.push(Noted::Finished(Finished { published: 2, of: 2, tool: "touchmark 0".to_owned() }));
        }
        notes
    }
}

/// The transcript with these entries and the seal of this signer.
pub(crate) fn sealed(signer: &Signer, said: &[Said]) -> String {
    let mut chain = Chain::default();
    let mut text = String::new();
    for one in said {
        text += &(chain.append(clock(), one.kind(), one.fields()) + "\n");
    }
    let seal = Said::Sealed(Sealed {
        key: signer.id(),
        serial: format!("serial of {}", signer.label),
        signature: signer.raw(&chain.seal_message()).as_bytes().to_vec(),
        audit: Audit { seq: 9, head: Sha256Digest::of(b"row") },
    });
    text + &chain.append(clock(), seal.kind(), seal.fields()) + "\n"
}

/// The text of a record with these entries.
pub(crate) fn record(notes: &[Noted]) -> String {
    let mut chain = Chain::default();
    notes.iter().map(|noted| chain.append(clock(), noted.kind(), noted.fields()) + "\n").collect()
}

fn repository(gun: &Gun, [alice, bob, carol]: [&Signer; 3]) -> Repository {
    let expires = Expires::at(Instant::from_unix(NOW + 3000 * DAY));
    let plain = || Signer::new("").public;
    let certificate = alice.certificate(gun);
    let base = first_root(
        gun,
        std::slice::from_ref(&certificate),
        std::num::NonZeroU32::MIN,
        &plain(),
        &plain(),
        &plain(),
        expires.clone(),
    )
    .unwrap();
    let changes = [
        RootChange::AddRootKey(bob.certificate(gun)),
        RootChange::AddRootKey(carol.certificate(gun)),
        RootChange::SetThreshold(2.try_into().unwrap()),
    ];
    let root: Root = next_root(gun, &base, &changes, expires).unwrap();
    let signed = base.write();
    let signature = Signature::ecdsa(certificate.id(), &alice.raw(&signed));
    let server = if gun.as_str().starts_with("rehearsal") { "" } else { "https://notary.example.com" };
    Repository {
        gun: gun.clone(),
        server: server.to_owned(),
        roots: vec![assemble(&signed, &[signature]).unwrap()],
        root: root.write(),
        also: Also::Nothing,
    }
}
