//! The entries of a record as what they mean. How they are written: `docs/formats.md`, "Records of ceremonies".
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use touchmark_proto::transcript::Entry;
use touchmark_tuf::{Gun, KeyId, Sha256Digest};

use crate::ceremony::text;

/// What the first entry says that it is.
pub const FORMAT: &str = "touchmark-ceremony/1";

/// One entry of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The first one: the plan.
    Merged(Merged),
    /// What one signer did.
    Share(Included),
    /// One root with all its signatures.
    Completed(Completed),
    /// One repository was published, and found good by readers.
    Published(Published),
    /// One repository was not published.
    Failed(Failed),
    /// One repository of a rehearsal was checked as if it were published.
    Rehearsed(Rehearsed),
    /// One run of `publish` ended.
    Finished(Finished),
}

/// `merged`: what the ceremony is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// [`FORMAT`].
    pub format: String,
    /// The whole file of the plan.
    pub plan: String,
    /// The client, with its version.
    pub tool: String,
    /// Whether it is none in earnest.
    pub rehearsal: bool,
}

/// `share`: one transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    /// The name of its file, without the folder.
    pub name: String,
    /// The whole file.
    pub transcript: String,
}

/// `completed`: a root that readers believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completed {
    /// The repository.
    #[serde(with = "text")]
    pub repository: Gun,
    /// Version of the root.
    pub version: u64,
    /// SHA-256 of its canonical bytes.
    #[serde(with = "text")]
    pub digest: Sha256Digest,
    /// The file as it is published.
    pub file: String,
    /// Canonical ids of the keys that signed it.
    #[serde(with = "text::list")]
    pub signers: Vec<KeyId>,
}

/// `published`: the trust server has it, and readers take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The repository.
    #[serde(with = "text")]
    pub repository: Gun,
    /// Version of the root.
    pub version: u64,
    /// Address of the trust server.
    pub server: String,
    /// What a client saw that had nothing but the new root keys.
    pub fresh_client: String,
    /// What a client saw that had nothing but the old root.
    pub old_client: String,
    /// Version of the targets document that they saw.
    pub targets: u64,
}

/// `failed`: why a repository was not published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// The repository.
    #[serde(with = "text")]
    pub repository: Gun,
    /// The stable word.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// `rehearsed`: checked, and never sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsed {
    /// The repository.
    #[serde(with = "text")]
    pub repository: Gun,
    /// Version of the root.
    pub version: u64,
}

/// `finished`: how many of the repositories are published by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// So many; in a rehearsal none.
    pub published: u64,
    /// Of so many.
    pub of: u64,
    /// The client, with its version.
    pub tool: String,
}

impl Noted {
    /// The word for it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Merged(_) => "merged",
            Self::Share(_) => "share",
            Self::Completed(_) => "completed",
            Self::Published(_) => "published",
            Self::Failed(_) => "failed",
            Self::Rehearsed(_) => "rehearsed",
            Self::Finished(_) => "finished",
        }
    }

    /// The fields of the entry.
    #[must_use]
    pub fn fields(&self) -> Map<String, Value> {
        match self {
            Self::Merged(noted) => fields(noted),
            Self::Share(noted) => fields(noted),
            Self::Completed(noted) => fields(noted),
            Self::Published(noted) => fields(noted),
            Self::Failed(noted) => fields(noted),
            Self::Rehearsed(noted) => fields(noted),
            Self::Finished(noted) => fields(noted),
        }
    }

    /// What an entry says; `None`: it is none of these, or its fields are other ones.
    #[must_use]
    pub fn read(entry: &Entry) -> Option<Self> {
        let fields = &entry.fields;
        match entry.kind.as_str() {
            "merged" => parse(fields).map(Self::Merged),
            "share" => parse(fields).map(Self::Share),
            "completed" => parse(fields).map(Self::Completed),
            "published" => parse(fields).map(Self::Published),
            "failed" => parse(fields).map(Self::Failed),
            "rehearsed" => parse(fields).map(Self::Rehearsed),
            "finished" => parse(fields).map(Self::Finished),
            _ => None,
        }
    }
}

fn fields(noted: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(noted) {
        Ok(Value::Object(fields)) => fields,
        // Every kind is a struct with names.
        _ => Map::new(),
    }
}

fn parse<T: DeserializeOwned>(fields: &Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(fields.clone())).ok()
}
