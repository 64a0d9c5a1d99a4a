//! What goes along with a root: the targets document, signed by the tagging key that the root names.
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{
    Document as _, Expires, KeyId, PublicKey, RoleName, Root, Sha256Digest, Targets, Trusted, Unverified,
    Verified, first_targets, next_targets,
};

use super::super::plan::{self, Goal, Next, State};
use super::super::roles::{Keyring, Signing};
use super::super::send;
use super::super::{Publisher, Report, TARGETS_LIFE, bases, note, planning, server};
use super::Standing;
use crate::daemon::{DocumentToSign, SignJob};
use crate::error::Error;
use crate::reader::View;

/// What has to be sent with a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::publish) enum Along {
    /// Nothing but maybe a snapshot.
    Nothing,
    /// Targets under its tagging key.
    Targets,
}

/// The targets document that fits a root.
pub(in crate::publish) enum Fitting {
    /// It was signed before.
    Signed(Vec<u8>),
    /// It is to be signed.
    ToSign(Targets),
}

impl Along {
    /// Nobody can read a repository whose targets do not verify under its root, and the server takes such a root all the
    /// same.
    pub(in crate::publish) fn of(view: Option<&View>, root: &Root) -> Self {
        let Some(targets) = view.and_then(|view| view.trusted.document(&RoleName::Targets)) else {
            return Self::Targets;
        };
        if verifies(targets.file(), root) { Self::Nothing } else { Self::Targets }
    }
}

impl Publisher<'_> {
    /// The targets document that goes with a complete root: the first one, or the current one signed anew.
    pub(in crate::publish) async fn targets_under(
        &self,
        standing: &Standing,
        root: &Verified<Root>,
        report: &mut Report,
    ) -> Result<Vec<u8>, Error> {
        let ring = Keyring::of(self.image.gun(), &standing.keys);
        let signing = ring.base_role(&RoleName::Targets, root).ok_or_else(|| self.no_tagging_key(root))?;
        let document = match self.fitting(standing, root).await? {
            Fitting::Signed(file) => return Ok(file),
            Fitting::ToSign(document) => document,
        };
        let trusted = standing.view.as_ref().map(|view| &view.trusted);
        let mut files = match trusted {
            Some(trusted) => self.bases(std::iter::empty(), trusted, &standing.last).await?,
            None => Vec::new(),
        };
        let roots = files.iter().filter(|(role, _)| *role == RoleName::Root).count();
        files.insert(roots, (RoleName::Root, root.file().to_vec()));
        let bytes = document.write();
        let job = SignJob {
            gun: self.image.gun().clone(),
            documents: vec![DocumentToSign {
                role: RoleName::Targets,
                keys: signing.with.clone(),
                bytes: bytes.clone(),
            }],
            bases: files,
            accept_root: match &standing.view {
                Some(view) => bases::accept(view, &standing.last),
                None => Some(of_its_own_keys(root)),
            },
            seen: vec![(RoleName::Targets, standing.seen(&RoleName::Targets)?)],
        };
        let signed = self.daemon.sign(&job).await?;
        let signatures =
            signed.documents.first().map(|document| document.signatures.clone()).unwrap_or_default();
        let file = send::file::<Targets>(&self.ctx.checked, &signing, &bytes, &signatures)?;
        note(report, signed);
        Ok(file)
    }

    /// The targets document that fits a root: what the server has and what was signed here and never published, as one.
    pub(in crate::publish) async fn fitting(
        &self,
        standing: &Standing,
        root: &Root,
    ) -> Result<Fitting, Error> {
        let expires = Expires::at(self.ctx.now.plus(TARGETS_LIFE));
        let role = RoleName::Targets;
        let own = standing.last.iter().find(|last| last.role == role);
        let own = own.map(|last| server::own(last.file.clone())).transpose()?;
        let Some(view) = &standing.view else {
            return Ok(match own {
                Some(own) if verifies(&own.file, root) => Fitting::Signed(own.file),
                Some(own) => Fitting::ToSign(self.again(&own.document, &expires)?),
                None => Fitting::ToSign(first_targets(expires)),
            });
        };
        let server = server::held(&view.trusted, &role);
        let mut newest = server.as_ref().map(|held| held.document.version);
        let daemon = match own {
            None => None,
            Some(own) => {
                let none = server::Given::default();
                let given = standing.given.get(&role).unwrap_or(&none);
                // What was published until now was signed by the key until now.
                let signing = of_old(&view.trusted);
                let lineage = server::lineage(&self.notary, &signing, server.as_ref(), &own, given).await?;
                newest = newest.max(Some(own.document.version));
                Some((own, lineage))
            }
        };
        let state = State { role, server: server.clone(), daemon };
        let next = plan::next(&state, &Goal::Publish, &expires).map_err(|cause| planning(&cause))?;
        let content = match next {
            Next::Sign { document, .. } => return Ok(Fitting::ToSign(document)),
            Next::Publish(file) if verifies(&file, root) => return Ok(Fitting::Signed(file)),
            Next::Publish(file) => Some(server::own(file)?.document),
            Next::Nothing => server.map(|held| held.document),
        };
        let Some(mut content) = content else { return Ok(Fitting::ToSign(first_targets(expires))) };
        content.version = newest.unwrap_or(content.version);
        Ok(Fitting::ToSign(self.again(&content, &expires)?))
    }

    fn again(&self, content: &Targets, expires: &Expires) -> Result<Targets, Error> {
        next_targets(content, &[], expires.clone())
            .map_err(|cause| Error::internal(format!("the next targets of {}: {cause}", self.image.gun())))
    }

    pub(in crate::publish) fn no_tagging_key(&self, root: &Root) -> Error {
        let keys: Vec<String> =
            root.keys_of(&RoleName::Targets).map(|key| key.canonical_id().to_string()).collect();
        let (gun, keys) = (self.image.gun(), keys.join(", "));
        let message =
            format!("the tags of {gun} have to be signed by {keys}, which touchmarkd does not hold");
        Error::new(Reason::KeyUnknown, message)
            .hint("touchmark key ls; publish it where the key is, or touchmark key import FILE")
    }
}

impl Standing {
    /// What the daemon has of `targets` or a delegation, for it to see that nothing came between.
    pub(in crate::publish) fn seen(&self, role: &RoleName) -> Result<Option<Sha256Digest>, Error> {
        let Some(last) = self.last.iter().find(|last| last.role == *role) else { return Ok(None) };
        Ok(Some(Sha256Digest::of(&server::own(last.file.clone())?.signed)))
    }
}

fn verifies(file: &[u8], root: &Root) -> bool {
    let file = Unverified::<Targets>::parse(file);
    file.is_ok_and(|file| file.verify(&root.roles.targets, &root.keys, &touchmark_tuf::Ring).is_ok())
}

/// Who signed the targets so far, whether or not it was here.
fn of_old(trusted: &Trusted) -> Signing {
    let root = trusted.root();
    let keys = root.keys_of(&RoleName::Targets).map(|key| (key.id(), key.clone()));
    Signing {
        role: RoleName::Targets,
        role_keys: root.roles.targets.clone(),
        keys: keys.collect(),
        with: Vec::new(),
    }
}

/// A new repository is accepted with the root keys that its people gave it.
fn of_its_own_keys(root: &Root) -> v1::RootAcceptance {
    let ids = root.keys_of(&RoleName::Root).map(PublicKey::canonical_id);
    v1::RootAcceptance { first_use: false, pinned_key_ids: ids.map(|id: KeyId| id.to_string()).collect() }
}
