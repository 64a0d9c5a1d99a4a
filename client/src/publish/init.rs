//! A new signed repository: certificates for the root keys, the two keys that the server makes, the first root and
//! the first targets document, signed in one request and sent.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::num::NonZeroU32;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{
    Document as _, Expires, KeyId, KeyType, PublicKey, Ring, RoleName, Root, TargetChange, Targets,
    Unverified, Verified, Version, first_root, first_targets, next_targets, shown,
};

use super::plan::Goal;
use super::roles::Keyring;
use super::send::{self, Files, ReadBack, Sent};
use super::{Publisher, ROOT_LIFE, Report, TARGETS_LIFE, note, server};
use crate::args::SnapshotHolder;
use crate::cmd::key;
use crate::daemon::{Certificate, DocumentToSign, LastDocument, SignJob};
use crate::error::Error;
use crate::trust_dir;

/// How a repository is to be made.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Root keys as they were typed; none: the only one there is.
    pub roots: Vec<String>,
    /// Who holds the snapshot key.
    pub snapshot: SnapshotHolder,
}

impl Publisher<'_> {
    /// Makes the repository. What an earlier attempt signed and did not get through is sent now.
    ///
    /// # Errors
    /// `USAGE` if the server has it already; `KEY_UNKNOWN`, listing the root keys, where one must be chosen; the
    /// daemon's or the server's refusal.
    pub async fn init(&self, choice: &Choice) -> Result<Report, Error> {
        let gun = self.image.gun();
        if server::current(self.ctx, self.image, self.ctx.now).await?.is_some() {
            return Err(Error::usage(format!("{gun} has trust data on the server already"))
                .hint(format!("touchmark sign {}:TAG", self.image.familiar())));
        }
        let mut report = Report::default();
        let done = self.begin(choice, &mut report).await;
        done.map_err(|error| send::unfinished(self.image, report.fate, error))?;
        Ok(report)
    }

    async fn begin(&self, choice: &Choice, report: &mut Report) -> Result<(), Error> {
        let gun = self.image.gun();
        let last = self.last().await?;
        let (mut files, root) = match first_documents(&last) {
            Some((root, targets)) => (self.anew(&root, targets, report).await?, root),
            None => self.make(choice, report).await?,
        };
        let ring = Keyring::of(gun, &self.daemon.key_list().await?);
        let root = verified(&root)?;
        self.add_snapshot(&ring, None, &last, &mut files, &root, report).await?;
        match self.send_new(files, report).await? {
            Sent::Taken => Ok(()),
            Sent::Conflict => Err(self.somebody_else()),
        }
    }

    /// Sends a new repository whose upload failed, before something else is done with it.
    ///
    /// # Errors
    /// `NO_TRUST_DATA` if none was ever signed here, or if it was published once and is gone since: it comes back
    /// only if somebody says so.
    pub(super) async fn send_first(&self, goal: &Goal, report: &mut Report) -> Result<(), Error> {
        let gun = self.image.gun();
        let name = self.image.familiar();
        let none = |hint: String| {
            Error::new(Reason::NoTrustData, format!("{gun} has no trust data on the server")).hint(hint)
        };
        let last = self.last().await?;
        let (root, targets) = first_documents(&last).ok_or_else(|| none(format!("touchmark init {name}")))?;
        let is_first = server::own(targets.clone())?.document.version == Version::FIRST;
        if *goal != Goal::Publish && !is_first {
            return Err(none(format!(
                "touchmark publish {name} brings back what touchmarkd signed last; touchmark init {name} starts without \
                 any tag"
            )));
        }
        let mut files = vec![(RoleName::Root, root.clone()), (RoleName::Targets, targets)];
        let ring = Keyring::of(gun, &self.daemon.key_list().await?);
        self.add_snapshot(&ring, None, &last, &mut files, &verified(&root)?, report).await?;
        // Where another client was quicker, reading again shows whose it is.
        self.send_new(files, report).await.map(drop)
    }

    async fn send_new(&self, files: Files, report: &mut Report) -> Result<Sent, Error> {
        if self.send(&files, report.audit.as_ref(), &mut report.fate).await? == Sent::Conflict {
            return Ok(Sent::Conflict);
        }
        self.trust_root(&files);
        if send::read_back(self.ctx, self.image, &files, &Goal::Publish).await? == ReadBack::Missing {
            return Err(self.somebody_else());
        }
        report.sent(files.into_iter().map(|(role, _)| role));
        Ok(Sent::Taken)
    }

    fn somebody_else(&self) -> Error {
        let gun = self.image.gun();
        Error::new(Reason::PublishConflict, format!("somebody else has just initialised {gun}"))
            .hint(format!("touchmark inspect {}", self.image.familiar()))
    }

    /// The root that was just made is trusted here because it was made here, not because the server shows it.
    fn trust_root(&self, files: &Files) {
        let mut root = trust_dir::Files::default();
        for (role, file) in files.iter().filter(|(role, _)| *role == RoleName::Root) {
            root.insert(role.clone(), file.clone());
        }
        // Where it cannot be kept, reading back says so.
        drop(self.ctx.trust_dir.commit(self.image.gun(), &trust_dir::Files::default(), &root));
    }

    /// The old root again (its version can be signed once only), with targets that hold no tag.
    async fn anew(&self, root: &[u8], targets: Vec<u8>, report: &mut Report) -> Result<Files, Error> {
        let old = server::own(targets.clone())?.document;
        if old.targets.is_empty() {
            return Ok(vec![(RoleName::Root, root.to_vec()), (RoleName::Targets, targets)]);
        }
        let root = verified(root)?;
        let ring = Keyring::of(self.image.gun(), &self.daemon.key_list().await?);
        let signing = ring.base_role(&RoleName::Targets, &root).ok_or_else(|| {
            Error::new(Reason::KeyUnknown, "touchmarkd holds no targets key of this repository")
        })?;
        let gone: Vec<_> =
            old.targets.keys().map(|name| TargetChange::Remove { name: name.clone() }).collect();
        let document = next_targets(&old, &gone, Expires::at(self.ctx.now.plus(TARGETS_LIFE)))
            .map_err(|cause| Error::internal(format!("an empty targets document: {cause}")))?;
        let bytes = document.write();
        let document =
            DocumentToSign { role: RoleName::Targets, keys: signing.with.clone(), bytes: bytes.clone() };
        let signed = self.daemon.sign(&send::job(self.image, document, Files::new())).await?;
        let signatures =
            signed.documents.first().map(|document| document.signatures.clone()).unwrap_or_default();
        let file = send::file::<Targets>(&self.ctx.checked, &signing, &bytes, &signatures)?;
        note(report, signed);
        Ok(vec![(RoleName::Root, root.file().to_vec()), (RoleName::Targets, file)])
    }

    async fn make(&self, choice: &Choice, report: &mut Report) -> Result<(Files, Vec<u8>), Error> {
        let gun = self.image.gun();
        let keys = self.daemon.key_list().await?;
        let roots = choose_roots(&keys, &choice.roots)?;
        let targets = self.vault_key(&keys, v1::Role::Targets).await?;
        let own_snapshot = match choice.snapshot {
            SnapshotHolder::Server => None,
            SnapshotHolder::Vault => Some(self.vault_key(&keys, v1::Role::Snapshot).await?),
        };
        let mut certificates = Vec::new();
        for key in &roots {
            let id = key.id.parse().map_err(|_| {
                Error::internal(format!("touchmarkd has a key without a usable id: {}", shown(&key.id)))
            })?;
            certificates.push(self.daemon.root_certificate(&id, gun, Certificate::Kept).await?);
        }
        // Each GET of a key makes another one on the server until a root lists it: so once, and last.
        let timestamp = server_key(&self.notary.timestamp_key().await?)?;
        let snapshot = match own_snapshot {
            Some(key) => key,
            None => server_key(&self.notary.snapshot_key().await?)?,
        };
        let expires = |life| Expires::at(self.ctx.now.plus(life));
        let root = first_root(
            gun,
            &certificates,
            NonZeroU32::MIN,
            &targets,
            &snapshot,
            &timestamp,
            expires(ROOT_LIFE),
        )
        .map_err(|cause| Error::internal(format!("the first root: {cause}")))?;
        let first = first_targets(expires(TARGETS_LIFE));

        let ring = Keyring::of(gun, &self.daemon.key_list().await?);
        let no_key =
            |role: &str| Error::new(Reason::KeyUnknown, format!("touchmarkd lost the {role} key of {gun}"));
        let root_signing = ring.base_role(&RoleName::Root, &root).ok_or_else(|| no_key("root"))?;
        let targets_signing = ring.base_role(&RoleName::Targets, &root).ok_or_else(|| no_key("targets"))?;
        let (root_bytes, targets_bytes) = (root.write(), first.write());
        let document = |role, keys: &Vec<KeyId>, bytes: &Vec<u8>| DocumentToSign {
            role,
            keys: keys.clone(),
            bytes: bytes.clone(),
        };
        let job = SignJob {
            gun: gun.clone(),
            documents: vec![
                document(RoleName::Root, &root_signing.with, &root_bytes),
                document(RoleName::Targets, &targets_signing.with, &targets_bytes),
            ],
            bases: Files::new(),
            accept_root: None,
            seen: Vec::new(),
        };
        let signed = self.daemon.sign(&job).await?;
        let [root_signed, targets_signed] = signed.documents.as_slice() else {
            return Err(Error::internal("touchmarkd signed something else than root and targets"));
        };
        let root =
            send::file::<Root>(&self.ctx.checked, &root_signing, &root_bytes, &root_signed.signatures)?;
        let targets = send::file::<Targets>(
            &self.ctx.checked,
            &targets_signing,
            &targets_bytes,
            &targets_signed.signatures,
        )?;
        note(report, signed);
        Ok((vec![(RoleName::Root, root.clone()), (RoleName::Targets, targets)], root))
    }

    /// The repository's key of that role: the one in the vault, or a new one.
    async fn vault_key(&self, keys: &[v1::Key], role: v1::Role) -> Result<PublicKey, Error> {
        let gun = self.image.gun().as_str();
        let is_it = |key: &&v1::Key| key.role() == role && key.repositories.iter().any(|one| one == gun);
        let key = match keys.iter().find(is_it) {
            Some(key) => key.clone(),
            None => {
                let repository = gun.to_owned();
                key::make(
                    self.daemon,
                    v1::CreateKeyRequest { role: role.into(), repository, ..Default::default() },
                )
                .await?
            }
        };
        PublicKey::from_spki(&key.public_key)
            .map_err(|cause| Error::internal(format!("key {} of touchmarkd cannot be read: {cause}", key.id)))
    }
}

/// The root keys that are meant; the only one there is if none was named.
fn choose_roots<'a>(keys: &'a [v1::Key], written: &[String]) -> Result<Vec<&'a v1::Key>, Error> {
    let roots: Vec<v1::Key> = keys.iter().filter(|key| key.role() == v1::Role::Root).cloned().collect();
    let mut chosen: Vec<&v1::Key> = Vec::new();
    for one in written {
        let id = &key::find(&roots, one)?.id;
        if let Some(key) = keys.iter().find(|key| key.id == *id && !chosen.iter().any(|have| have.id == *id))
        {
            chosen.push(key);
        }
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let mut all = keys.iter().filter(|key| key.role() == v1::Role::Root);
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(vec![only]),
        (None, _) => Err(Error::new(Reason::KeyUnknown, "touchmarkd has no root key")
            .hint("touchmark key create root --token NAME")),
        (Some(_), Some(_)) => {
            let list = roots.iter().map(key::in_words).collect::<Vec<_>>().join("; ");
            Err(Error::new(Reason::KeyUnknown, format!("there are several root keys: {list}"))
                .hint("name one, or some as spares of each other: --root KEY"))
        }
    }
}

/// Root and targets of the daemon, if it ever signed or accepted any.
fn first_documents(last: &[LastDocument]) -> Option<(Vec<u8>, Vec<u8>)> {
    let file = |role: &RoleName| last.iter().find(|last| last.role == *role).map(|last| last.file.clone());
    Some((file(&RoleName::Root)?, file(&RoleName::Targets)?))
}

/// A root under its own keys.
fn verified(file: &[u8]) -> Result<Verified<Root>, Error> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Error::internal(format!("touchmarkd's root does not verify: {cause}"))
    };
    let parsed = Unverified::<Root>::parse(file).map_err(|cause| wrong(&cause))?;
    let root = parsed.document_unverified().clone();
    parsed.verify(&root.roles.root, &root.keys, &Ring).map_err(|cause| wrong(&cause))
}

/// The server's answer to GET of a key: fields in another order than in documents.
pub(crate) fn server_key(json: &[u8]) -> Result<PublicKey, Error> {
    #[derive(Deserialize)]
    struct Key {
        keytype: String,
        keyval: Value,
    }
    #[derive(Deserialize)]
    struct Value {
        public: String,
    }
    let wrong = || Error::new(Reason::TrustServerUnreachable, "the trust server's own key cannot be read");
    let key: Key = serde_json::from_slice(json).map_err(|_| wrong())?;
    let key_type = KeyType::from_word(&key.keytype).ok_or_else(wrong)?;
    let public = STANDARD.decode(key.keyval.public).map_err(|_| wrong())?;
    Ok(PublicKey::new(key_type, &public))
}

#[cfg(test)]
mod tests;
