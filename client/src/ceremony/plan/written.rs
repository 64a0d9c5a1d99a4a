//! A plan as it is written: JSON, indented, with the digest of its own content; see `docs/formats.md`, "Ceremony plans".
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use touchmark_tuf::{Gun, Instant, PublicKey, Sha256Digest};

use super::{Also, Occasion, Plan, REPOSITORIES_MAX, Repository, RootKey};

const FORMAT: &str = "touchmark-ceremony-plan/1";

/// Why a file is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It is of another kind, or of a later version.
    #[error("it is no ceremony plan of a version that is known here ({FORMAT})")]
    Format,
    /// It cannot be read at all.
    #[error("{0}")]
    Json(String),
    /// Its content is not what its digest says, or it was written by something else.
    #[error("it is damaged or was changed after it was written")]
    Changed,
    /// One of its fields is wrong.
    #[error("{field}: {why}")]
    Field {
        /// Where.
        field: String,
        /// Why.
        why: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    plan: Written,
    /// SHA-256 of `plan` without white space, hex.
    sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    rehearsal: bool,
    made_unix: i64,
    good_until_unix: i64,
    tool: String,
    keys: Vec<WrittenKey>,
    repositories: Vec<WrittenRepository>,
}

/// A root key, as plans and key files have it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::ceremony) struct WrittenKey {
    id: String,
    label: String,
    token_kind: String,
    serial: String,
    firmware: String,
    touch_policy: String,
    pin_policy: String,
    /// SubjectPublicKeyInfo, DER, base64.
    public_key: String,
    /// DER, base64, leaf first.
    attestation: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRepository {
    name: String,
    trust_server: String,
    publish_targets: bool,
    /// The text of each published root.json, oldest first.
    published_roots: Vec<String>,
    /// The text of the document to be signed.
    root_to_sign: String,
}

pub(super) fn write(plan: &Plan) -> Vec<u8> {
    let plan = Written {
        title: plan.title.clone(),
        rehearsal: plan.occasion == Occasion::Rehearsal,
        made_unix: plan.made.unix(),
        good_until_unix: plan.good_until.unix(),
        tool: plan.tool.clone(),
        keys: plan.keys.iter().map(write_key).collect(),
        repositories: plan.repositories.iter().map(write_repository).collect(),
    };
    let sha256 = digest(&plan);
    pretty(&File { format: FORMAT.to_owned(), plan, sha256 })
}

pub(super) fn read(bytes: &[u8]) -> Result<Plan, PlanError> {
    let written: File = serde_json::from_slice(bytes).map_err(|cause| PlanError::Json(cause.to_string()))?;
    if written.format != FORMAT {
        return Err(PlanError::Format);
    }
    if written.sha256 != digest(&written.plan) || pretty(&written) != bytes {
        return Err(PlanError::Changed);
    }
    let plan = written.plan;
    let made = read_time("made_unix", plan.made_unix)?;
    let good_until = read_time("good_until_unix", plan.good_until_unix)?;
    if plan.repositories.is_empty() || plan.repositories.len() > REPOSITORIES_MAX {
        return Err(field("repositories", format!("there are {}", plan.repositories.len())));
    }
    let mut repositories: Vec<Repository> = Vec::with_capacity(plan.repositories.len());
    let mut names = std::collections::BTreeSet::new();
    for (at, one) in plan.repositories.into_iter().enumerate() {
        let one = repository(at, one)?;
        if !names.insert(one.gun.clone()) {
            return Err(field("repositories", format!("{} stands twice", one.gun)));
        }
        repositories.push(one);
    }
    Ok(Plan {
        title: plan.title,
        occasion: if plan.rehearsal { Occasion::Rehearsal } else { Occasion::Earnest },
        made,
        good_until,
        tool: plan.tool,
        keys: plan
            .keys
            .into_iter()
            .enumerate()
            .map(|(at, written)| read_key(&format!("keys[{at}]"), written))
            .collect::<Result<_, _>>()?,
        repositories,
    })
}

/// The digest of a file's own content: SHA-256 of it without white space, hex.
pub(in crate::ceremony) fn digest(content: &impl Serialize) -> String {
    let text = serde_json::to_vec(content).unwrap_or_default();
    Sha256Digest::of(&text).to_string()
}

/// The one form of a whole file.
pub(in crate::ceremony) fn pretty(file: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(file).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

pub(in crate::ceremony) fn field(field: impl Into<String>, why: impl std::fmt::Display) -> PlanError {
    PlanError::Field { field: field.into(), why: why.to_string() }
}

/// A time that can be told: one that cannot be written again as it is would make another file.
pub(in crate::ceremony) fn read_time(name: &str, unix: i64) -> Result<Instant, PlanError> {
    let time = Instant::from_unix(unix);
    if time.unix() == unix {
        Ok(time)
    } else {
        Err(field(name, format!("{unix} is no time that can be told")))
    }
}

pub(in crate::ceremony) fn write_key(key: &RootKey) -> WrittenKey {
    WrittenKey {
        id: key.public.canonical_id().to_string(),
        label: key.label.clone(),
        token_kind: key.token_kind.clone(),
        serial: key.serial.clone(),
        firmware: key.firmware.clone(),
        touch_policy: key.touch_policy.clone(),
        pin_policy: key.pin_policy.clone(),
        public_key: STANDARD.encode(key.public.spki().unwrap_or_default()),
        attestation: key.attestation.iter().map(|der| STANDARD.encode(der)).collect(),
    }
}

pub(in crate::ceremony) fn read_key(at: &str, written: WrittenKey) -> Result<RootKey, PlanError> {
    let wrong = |name: &str, why: &dyn std::fmt::Display| field(format!("{at}.{name}"), why);
    let spki = STANDARD.decode(&written.public_key).map_err(|why| wrong("public_key", &why))?;
    let public = PublicKey::from_spki(&spki).map_err(|why| wrong("public_key", &why))?;
    if public.canonical_id().to_string() != written.id {
        return Err(wrong("id", &"is not that of the key"));
    }
    let attestation = written.attestation.iter().map(|der| STANDARD.decode(der));
    Ok(RootKey {
        public,
        label: written.label,
        token_kind: written.token_kind,
        serial: written.serial,
        firmware: written.firmware,
        touch_policy: written.touch_policy,
        pin_policy: written.pin_policy,
        attestation: attestation.collect::<Result<_, _>>().map_err(|why| wrong("attestation", &why))?,
    })
}

fn write_repository(repository: &Repository) -> WrittenRepository {
    // Documents are JSON, so they are text.
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    WrittenRepository {
        name: repository.gun.to_string(),
        trust_server: repository.server.clone(),
        publish_targets: repository.also == Also::Targets,
        published_roots: repository.roots.iter().map(text).collect(),
        root_to_sign: text(&repository.root),
    }
}

fn repository(at: usize, written: WrittenRepository) -> Result<Repository, PlanError> {
    let gun: Gun = written.name.parse().map_err(|why| field(format!("repositories[{at}].name"), why))?;
    Ok(Repository {
        gun,
        server: written.trust_server,
        roots: written.published_roots.into_iter().map(String::into_bytes).collect(),
        root: written.root_to_sign.into_bytes(),
        also: if written.publish_targets { Also::Targets } else { Also::Nothing },
    })
}
