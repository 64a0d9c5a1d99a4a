//! A publisher who makes trust data by hand, right or wrong: an independent writer of Notary's format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// What a server has, by file name: `root.json`, `targets.HEX.json`...
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Tags, each with the bytes that it stands for.
pub(crate) type Tags<'a> = &'a [(&'a str, &'a str)];

/// The file of a delegation.
pub(crate) struct Delegated<'a> {
    pub(crate) role: &'a str,
    pub(crate) key: &'a Key,
    pub(crate) tags: Tags<'a>,
}

/// A date far ahead.
pub(crate) const VALID: &str = "2036-01-01T00:00:00Z";
/// A date long past.
pub(crate) const EXPIRED: &str = "2020-01-01T00:00:00Z";

/// A key as documents list it.
pub(crate) struct Key {
    pair: KeyPair,
    object: Value,
    pub(crate) id: String,
}

/// The keys of one repository and its chain of roots, newest last.
pub(crate) struct Publisher {
    gun: String,
    pub(crate) root: Key,
    pub(crate) targets: Key,
    pub(crate) releases: Key,
    pub(crate) alice: Key,
    snapshot: Key,
    timestamp: Key,
    pub(crate) roots: Vec<Vec<u8>>,
}

impl Key {
    pub(crate) fn plain() -> Self {
        let pair = KeyPair::generate().unwrap();
        let public = STANDARD.encode(pair.subject_public_key_info());
        Self::listed(pair, "ecdsa", &public)
    }

    /// With a certificate, as root keys are.
    pub(crate) fn certified(name: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&pair).unwrap().pem().replace("\r\n", "\n");
        Self::listed(pair, "ecdsa-x509", &STANDARD.encode(pem))
    }

    fn listed(pair: KeyPair, kind: &str, public: &str) -> Self {
        let object = json!({"keytype": kind, "keyval": {"private": null, "public": public}});
        let id = hex(object.to_string().as_bytes());
        Self { pair, object, id }
    }

    fn signature(&self, signed: &Value) -> Value {
        let der = self.pair.sign(signed.to_string().as_bytes()).unwrap();
        let (r, rest) = integer(&der[2..]);
        let raw = [r, integer(rest).0].concat();
        json!({"keyid": self.id, "method": "ecdsa", "sig": STANDARD.encode(raw)})
    }
}

impl Publisher {
    pub(crate) fn new(gun: &str) -> Self {
        let [targets, releases, alice, snapshot, timestamp] = [(); 5].map(|()| Key::plain());
        let root = Key::certified(gun);
        let mut new =
            Self { gun: gun.into(), root, targets, releases, alice, snapshot, timestamp, roots: Vec::new() };
        let first = file(&new.root_document(1, VALID), &[&new.root]);
        new.roots.push(first);
        new
    }

    /// The next root, with another root key; signed by the old and the new one.
    pub(crate) fn rotate(&mut self) {
        let old = std::mem::replace(&mut self.root, Key::certified(&self.gun));
        let next = self.root_document(self.roots.len() + 1, VALID);
        self.roots.push(file(&next, &[&old, &self.root]));
    }

    pub(crate) fn root_document(&self, version: usize, expires: &str) -> Value {
        let role = |key: &Key| json!({"keyids": [key.id], "threshold": 1});
        let all = [&self.root, &self.targets, &self.snapshot, &self.timestamp];
        let keys: Map<String, Value> = all.iter().map(|key| (key.id.clone(), key.object.clone())).collect();
        json!({
            "_type": "Root", "consistent_snapshot": false, "expires": expires, "version": version, "keys": keys,
            "roles": {"root": role(&self.root), "targets": role(&self.targets),
                      "snapshot": role(&self.snapshot), "timestamp": role(&self.timestamp)},
        })
    }

    /// Everything at `version`, with these tags; `alter` may change any document before it is signed, by role.
    pub(crate) fn edition(&self, version: u64, tags: Tags<'_>, alter: impl Fn(&str, &mut Value)) -> Files {
        self.edition_with(version, tags, &[], alter)
    }

    /// The same with files of delegations: role, key, tags.
    pub(crate) fn edition_with(
        &self,
        version: u64,
        tags: Tags<'_>,
        delegated: &[Delegated<'_>],
        alter: impl Fn(&str, &mut Value),
    ) -> Files {
        let mut files = Files::new();
        let mut meta = Map::new();
        let mut keep = |role: &str, bytes: Vec<u8>| {
            let digest = Sha256::digest(&bytes);
            let entry = json!({"hashes": {"sha256": STANDARD.encode(digest)}, "length": bytes.len()});
            files.insert(format!("{role}.{}.json", hex(&bytes)), bytes.clone());
            files.insert(format!("{role}.json"), bytes);
            entry
        };
        let root = self.roots.last().unwrap().clone();
        meta.insert("root".into(), keep("root", root));

        let keys: Map<String, Value> =
            delegated.iter().map(|one| (one.key.id.clone(), one.key.object.clone())).collect();
        let role = |one: &Delegated<'_>| json!({"keyids": [one.key.id], "name": one.role, "paths": [""], "threshold": 1});
        let roles: Vec<Value> = delegated.iter().map(role).collect();
        let mut signed = targets(version, tags, &json!({"keys": keys, "roles": roles}));
        alter("targets", &mut signed);
        meta.insert("targets".into(), keep("targets", file(&signed, &[&self.targets])));
        for Delegated { role: name, key, tags } in delegated {
            let mut signed = targets(version, tags, &json!({"keys": {}, "roles": []}));
            alter(name, &mut signed);
            meta.insert((*name).into(), keep(name, file(&signed, &[key])));
        }

        let mut signed = json!({"_type": "Snapshot", "expires": VALID, "meta": meta, "version": version});
        alter("snapshot", &mut signed);
        let snapshot = keep("snapshot", file(&signed, &[&self.snapshot]));
        let mut signed = json!({"_type": "Timestamp", "expires": VALID, "meta": {"snapshot": snapshot}, "version": version});
        alter("timestamp", &mut signed);
        keep("timestamp", file(&signed, &[&self.timestamp]));
        for (number, root) in (1..).zip(&self.roots) {
            files.insert(format!("{number}.root.json"), root.clone());
        }
        files
    }
}

fn targets(version: u64, tags: Tags<'_>, delegations: &Value) -> Value {
    let entry = |(tag, content): &(&str, &str)| {
        let hash = STANDARD.encode(Sha256::digest(content.as_bytes()));
        ((*tag).to_owned(), json!({"hashes": {"sha256": hash}, "length": content.len()}))
    };
    let tags: Map<String, Value> = tags.iter().map(entry).collect();
    json!({"_type": "Targets", "delegations": delegations, "expires": VALID, "targets": tags, "version": version})
}

/// The file of a document, signed by these keys.
pub(crate) fn file(signed: &Value, keys: &[&Key]) -> Vec<u8> {
    let signatures: Vec<Value> = keys.iter().map(|key| key.signature(signed)).collect();
    json!({"signed": signed, "signatures": signatures}).to_string().into_bytes()
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A DER INTEGER as 32 bytes, and what follows it.
fn integer(der: &[u8]) -> (Vec<u8>, &[u8]) {
    let length = usize::from(der[1]);
    let (value, rest) = der[2..].split_at(length);
    let value: Vec<u8> = value.iter().copied().skip_while(|byte| *byte == 0).collect();
    ([vec![0; 32 - value.len()], value].concat(), rest)
}
