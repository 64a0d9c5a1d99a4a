//! The entries of a transcript as what they mean. How they are written: `docs/formats.md`, "Transcripts".
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use touchmark_proto::transcript::Entry;
use touchmark_tuf::{EcdsaSignature, Gun, KeyId, Method, Sha256Digest, Signature};

use crate::ceremony::text;

/// What the first entry says that it is.
pub const FORMAT: &str = "touchmark-transcript/1";

/// One entry of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The first one.
    Begun(Begun),
    /// The token that signs.
    Device(Device),
    /// A question and its answer.
    Asked(Asked),
    /// One root document was signed.
    Signed(SignedRoot),
    /// Something was refused, or failed.
    Refused(Refused),
    /// Somebody went on after an interruption.
    Resumed(Resumed),
    /// The last one.
    Sealed(Sealed),
}

/// `begun`: which plan, with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// [`FORMAT`].
    pub format: String,
    /// SHA-256 of the plan's file.
    #[serde(with = "text")]
    pub plan: Sha256Digest,
    /// What the ceremony is called.
    pub title: String,
    /// Whether it is none in earnest.
    pub rehearsal: bool,
    /// The client, with its version.
    pub tool: String,
    /// The daemon, with its version.
    pub daemon: String,
    /// Canonical id of the key that will seal.
    #[serde(with = "text")]
    pub key: KeyId,
}

/// `device`: the token, as the daemon and the token itself say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name in the daemon's configuration.
    pub token: String,
    /// `pkcs11` or `yubikey`.
    pub token_kind: String,
    /// Its serial.
    pub serial: String,
    /// Its label.
    pub label: String,
    /// Its firmware.
    pub firmware: String,
    /// Canonical ids of its keys that take part.
    #[serde(with = "text::list")]
    pub keys: Vec<KeyId>,
    /// By canonical id: certificates in DER, base64, leaf first.
    pub attestation: BTreeMap<String, Vec<String>>,
    /// What they prove, in words; `None`: it was not checked.
    pub attested: Option<String>,
}

/// `asked`: what somebody was asked, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// Who gave it.
    pub by: By,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A person at the terminal.
    Terminal,
    /// The command line.
    Flag,
}

/// `signed`: the signatures over one root document. This is how they travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRoot {
    /// The repository.
    #[serde(with = "text")]
    pub repository: Gun,
    /// Always `root`.
    pub role: String,
    /// Version of the document.
    pub version: u64,
    /// SHA-256 of its canonical bytes.
    #[serde(with = "text")]
    pub digest: Sha256Digest,
    /// Canonical id of the key.
    #[serde(with = "text")]
    pub key: KeyId,
    /// One for each id under which the roots list the key.
    pub signatures: Vec<WrittenSignature>,
    /// What the daemon understood, in words.
    pub differences: Vec<String>,
    /// The daemon's record of it; `None`: it had signed before, and gave out what it had.
    pub audit: Option<Audit>,
    /// Serial of the token.
    pub serial: String,
}

/// A signature as it stands in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSignature {
    /// Under which the root lists the key.
    #[serde(with = "text")]
    pub keyid: KeyId,
    /// Always `ecdsa`.
    pub method: String,
    /// r‖s.
    #[serde(with = "text::base64")]
    pub sig: Vec<u8>,
}

/// A place in the daemon's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Number of the row.
    pub seq: u64,
    /// Its hash.
    #[serde(with = "text")]
    pub head: Sha256Digest,
}

/// `refused`: why something was not signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The repository, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The stable word.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// `resumed`: the same command was run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumed {
    /// Bytes of a last line that was not whole and was cut off; 0: the last line was whole.
    pub dropped: u64,
}

/// `sealed`: the head of the chain before this entry, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// Canonical id of the key.
    #[serde(with = "text")]
    pub key: KeyId,
    /// Serial of the token.
    pub serial: String,
    /// r‖s over [`touchmark_proto::transcript::Chain::seal_message`].
    #[serde(with = "text::base64")]
    pub signature: Vec<u8>,
    /// The daemon's record of it.
    pub audit: Audit,
}

impl Said {
    /// The word for it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Begun(_) => "begun",
            Self::Device(_) => "device",
            Self::Asked(_) => "asked",
            Self::Signed(_) => "signed",
            Self::Refused(_) => "refused",
            Self::Resumed(_) => "resumed",
            Self::Sealed(_) => "sealed",
        }
    }

    /// The fields of the entry.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        match self {
            Self::Begun(said) => fields(said),
            Self::Device(said) => fields(said),
            Self::Asked(said) => fields(said),
            Self::Signed(said) => fields(said),
            Self::Refused(said) => fields(said),
            Self::Resumed(said) => fields(said),
            Self::Sealed(said) => fields(said),
        }
    }

    /// What an entry says; `None`: it is none of these, or its fields are other ones.
    #[must_use]
    pub fn read(entry: &Entry) -> Option<Self> {
        let fields = &entry.fields;
        let said = match entry.kind.as_str() {
            "begun" => parse(fields).map(Self::Begun),
            "device" => parse(fields).map(Self::Device),
            "asked" => parse(fields).map(Self::Asked),
            "signed" => parse(fields).map(Self::Signed),
            "refused" => parse(fields).map(Self::Refused),
            "resumed" => parse(fields).map(Self::Resumed),
            "sealed" => parse(fields).map(Self::Sealed),
            _ => None,
        };
        // A field that may be `null` is not one that may be absent, nor the other way round.
        said.filter(|said| said.fields() == *fields)
    }
}

impl SignedRoot {
    /// The signatures as they stand in a root file.
    #[must_use]
    pub fn signatures(&self) -> Vec<Signature> {
        let each = self.signatures.iter();
        each.map(|one| Signature { key_id: one.keyid, method: Method::Ecdsa, bytes: one.sig.clone() })
            .collect()
    }
}

impl WrittenSignature {
    /// As it is written; only ECDSA is known to tokens.
    #[must_use]
    pub fn of(signature: &Signature) -> Self {
        let method = signature.method.as_str().to_owned();
        Self { keyid: signature.key_id, method, sig: signature.bytes.clone() }
    }
}

impl Sealed {
    /// The signature, if it has the right length.
    #[must_use]
    pub fn ecdsa(&self) -> Option<EcdsaSignature> {
        Some(EcdsaSignature::from_raw(self.signature.as_slice().try_into().ok()?))
    }
}

fn fields(said: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(said) {
        Ok(Value::Object(fields)) => fields,
        // Every kind is a struct with names.
        _ => Map::new(),
    }
}

fn parse<T: DeserializeOwned>(fields: &Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(fields.clone())).ok()
}
