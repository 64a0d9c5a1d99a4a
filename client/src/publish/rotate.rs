//! A rotation on one workstation: the next root, and the targets document where it has another tagging key, signed in
//! one request and published. What is to change is decided elsewhere.
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{
    Document as _, KeyId, PublicKey, RoleName, Root, RootRoles, Targets, Unverified, Version, assemble,
};

use super::roles::Keyring;
use super::root::{Along, Fitting, RootReport, Standing, told};
use super::send::{self, Files};
use super::{Publisher, Report, bases, init, note, server};
use crate::cmd::key;
use crate::daemon::{DocumentToSign, SignJob};
use crate::error::Error;
use crate::reader::View;

impl Publisher<'_> {
    /// Publishes the root that an earlier attempt had signed, if there is one: that one and what it changes.
    ///
    /// # Errors
    /// `PUBLISH_CONFLICT` where somebody else has published another one under its version; the server's refusal.
    pub async fn finish_root(&self, standing: &Standing) -> Result<Option<RootReport>, Error> {
        let Some(view) = &standing.view else { return Ok(None) };
        let Some(root) = self.waiting_root(view, &standing.last)? else { return Ok(None) };
        let mut report = Report::default();
        let done = self.deliver(standing, &root, Files::new(), &mut report).await;
        done.map_err(|error| send::unfinished(self.image, report.fate.max(send::Fate::Signed), error))?;
        Ok(Some(told(root.version, report)))
    }

    /// Has a root signed by these keys, and what goes along with it; publishes and reads back.
    ///
    /// # Errors
    /// `NO_TRUST_DATA`; the daemon's or the server's refusal. What was signed is kept by the daemon: [`Self::finish_root`]
    /// or `publish` goes on from there.
    pub async fn rotate(
        &self,
        standing: &Standing,
        root: &Root,
        with: Vec<KeyId>,
    ) -> Result<RootReport, Error> {
        let view = standing.view.as_ref().ok_or_else(|| self.nothing_to_rotate())?;
        let mut report = Report::default();
        let done = self.sign_and_send(standing, view, root, with, &mut report).await;
        done.map_err(|error| send::unfinished(self.image, report.fate, error))?;
        Ok(told(root.version, report))
    }

    /// That there is no repository yet.
    #[must_use]
    pub fn nothing_to_rotate(&self) -> Error {
        let message = format!("{} has no trust data on the server", self.image.gun());
        Error::new(Reason::NoTrustData, message).hint(format!("touchmark init {}", self.image.familiar()))
    }

    async fn sign_and_send(
        &self,
        standing: &Standing,
        view: &View,
        root: &Root,
        with: Vec<KeyId>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let bytes = root.write();
        let document =
            |role, keys: Vec<KeyId>, bytes: &[u8]| DocumentToSign { role, keys, bytes: bytes.to_vec() };
        let mut job = SignJob {
            gun: self.image.gun().clone(),
            documents: vec![document(RoleName::Root, with, &bytes)],
            bases: self.bases(std::iter::empty(), &view.trusted, &standing.last).await?,
            accept_root: bases::accept(view, &standing.last),
            // The root's place in the chain is looked at anyway; one that was begun here is gone on with.
            seen: Vec::new(),
        };
        let mut files = Files::new();
        let mut tagging = None;
        if Along::of(Some(view), root) == Along::Targets {
            match self.fitting(standing, root).await? {
                Fitting::Signed(file) => files.push((RoleName::Targets, file)),
                Fitting::ToSign(targets) => {
                    let ring = Keyring::of(self.image.gun(), &self.daemon.key_list().await?);
                    let signing = ring.base_role(&RoleName::Targets, root);
                    let signing = signing.ok_or_else(|| self.no_tagging_key(root))?;
                    let targets = targets.write();
                    job.documents.push(document(RoleName::Targets, signing.with.clone(), &targets));
                    job.seen.push((RoleName::Targets, standing.seen(&RoleName::Targets)?));
                    tagging = Some((signing, targets));
                }
            }
        }
        let signed = self.sign_job(job, &view.trusted).await?;
        let broken = |why: &dyn std::fmt::Display| {
            Error::internal(format!("what touchmarkd signed of root does not verify: {why}"))
        };
        let signatures = |at: usize| {
            signed.documents.get(at).map(|one: &crate::daemon::SignedDocument| one.signatures.as_slice())
        };
        let file = assemble(&bytes, signatures(0).unwrap_or_default()).map_err(|why| broken(&why))?;
        let mut trusted = view.trusted.clone();
        trusted.advance_root(&file).map_err(|why| broken(&why))?;
        if !trusted.root().is_go_form() {
            return Err(broken(&"the trust server would write it differently"));
        }
        if let Some((signing, bytes)) = tagging {
            let signatures = signatures(1).unwrap_or_default();
            let file = send::file::<Targets>(&self.ctx.checked, &signing, &bytes, signatures)?;
            files.push((RoleName::Targets, file));
        }
        note(report, signed);
        self.deliver(standing, trusted.root(), files, report).await
    }

    /// A new key of the vault for this repository: one that an earlier attempt made and nothing came of, or another one.
    ///
    /// # Errors
    /// The daemon's or the server's refusal.
    pub async fn new_vault_key(&self, standing: &Standing, role: v1::Role) -> Result<PublicKey, Error> {
        let gun = self.image.gun().as_str();
        let read = |key: &v1::Key| {
            PublicKey::from_spki(&key.public_key).map_err(|cause| {
                Error::internal(format!("key {} of touchmarkd cannot be read: {cause}", key.id))
            })
        };
        let is_unused = |key: &&v1::Key| {
            key.role() == role
                && key.last_used_unix == 0
                && key.origin == "generated"
                && key.repositories == [gun.to_owned()]
        };
        let mut unused = standing.keys.iter().filter(is_unused).peekable();
        if unused.peek().is_some() {
            let named = self.named_so_far(standing).await?;
            for key in unused {
                let public = read(key)?;
                if !named.contains(&public.canonical_id()) {
                    return Ok(public);
                }
            }
        }
        let request =
            v1::CreateKeyRequest { role: role.into(), repository: gun.to_owned(), ..Default::default() };
        read(&key::make(self.daemon, request).await?)
    }

    /// A new key of the server, which is the repository's once a root lists it.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn new_server_key(&self, role: &RoleName) -> Result<PublicKey, Error> {
        init::server_key(&self.notary.new_key(role).await?)
    }

    /// Every key that a published root has ever listed, by canonical ids: one of them does not come back by chance.
    async fn named_so_far(&self, standing: &Standing) -> Result<Vec<KeyId>, Error> {
        let Some(view) = &standing.view else { return Ok(Vec::new()) };
        let current = view.trusted.root();
        let mut keys = listed(current);
        for number in 1..current.version.get() {
            let Ok(version) = Version::try_from(number) else { continue };
            let file = server::root_of(&self.notary, version).await?;
            // A root that cannot be read lists nobody.
            if let Ok(root) = Unverified::<Root>::parse(&file) {
                keys.extend(listed(root.document_unverified()));
            }
        }
        Ok(keys)
    }
}

fn listed(root: &Root) -> Vec<KeyId> {
    let RootRoles { root: of_root, snapshot, targets, timestamp } = &root.roles;
    let ids = [of_root, snapshot, targets, timestamp].into_iter().flat_map(|role| &role.key_ids);
    ids.filter_map(|id| root.keys.get(id)).map(PublicKey::canonical_id).collect()
}
