//! From one repository and what is wanted to its part of a plan.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tokio::sync::Mutex;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Document as _, Gun, KeyId, PublicKey, RoleName, Root, Unverified};

use super::super::device;
use crate::args::CeremonyPlanArgs;
use crate::ceremony::design::{self, Unchanged, Wishes};
use crate::ceremony::keyholder::KeyFile;
use crate::ceremony::plan::{Also, Occasion, Repository, RootKey};
use crate::ceremony::{file, published, rehearsal};
use crate::cmd::key;
use crate::context::Ctx;
use crate::daemon::{Certificate, Daemon, failure};
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::publish::server_key;

/// Everything that the planning of each repository needs.
pub(super) struct Maker<'a> {
    ctx: &'a Ctx,
    args: &'a CeremonyPlanArgs,
    occasion: Occasion,
    daemon: Option<Daemon>,
    /// The daemon's keys, those made meanwhile too. Who holds it asks the daemon: one token serves one request.
    keys: Mutex<Vec<v1::Key>>,
    /// Held by whoever has the server make a key: a notary-signer that keeps keys in memory ends when two are made at
    /// once.
    making: Mutex<()>,
    /// New root keys from files.
    files: Vec<KeyFile>,
    /// New root keys of the daemon here.
    local: Vec<KeyId>,
    /// Of keys that take part already.
    known: Vec<KeyFile>,
    /// What an earlier rehearsal left published.
    earlier: BTreeMap<Gun, Vec<Vec<u8>>>,
}

impl<'a> Maker<'a> {
    pub(super) async fn new(
        ctx: &'a Ctx,
        args: &'a CeremonyPlanArgs,
        occasion: Occasion,
    ) -> Result<Self, Error> {
        let (mut files, mut ids) = (Vec::new(), Vec::new());
        for written in &args.change.add_root {
            let path = Path::new(written);
            if path.is_file() {
                files.push(key_file(path, occasion)?);
            } else {
                ids.push(written);
            }
        }
        let known = args.known.iter().map(|path| key_file(path, occasion)).collect::<Result<Vec<_>, _>>()?;
        let makes_keys = (args.create || args.rotate_targets) && occasion == Occasion::Earnest;
        let renews_here = args.change.renew_certificates && files.is_empty() && known.is_empty();
        let daemon = if makes_keys || renews_here || !ids.is_empty() {
            Some(Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?)
        } else {
            None
        };
        let keys = match &daemon {
            Some(daemon) => daemon.key_list().await?,
            None => Vec::new(),
        };
        let roots: Vec<v1::Key> = keys.iter().filter(|key| key.role() == v1::Role::Root).cloned().collect();
        let local = ids.into_iter().map(|written| {
            let found = key::find(&roots, written).map_err(|cause| {
                let message = format!("--add-root: {}, and there is no such file", cause.message);
                Error { message, ..cause }
            })?;
            found.id.parse().map_err(|_| Error::internal("touchmarkd has a key without a usable id"))
        });
        let local = local.collect::<Result<Vec<KeyId>, Error>>()?;
        let earlier = args.from.as_deref().map(rehearsal::left_by).transpose()?.unwrap_or_default();
        Ok(Self {
            ctx,
            args,
            occasion,
            daemon,
            keys: Mutex::new(keys),
            making: Mutex::new(()),
            files,
            local,
            known,
            earlier,
        })
    }

    /// One repository of the plan.
    pub(super) async fn repository(&self, image: &Image) -> Result<Repository, Error> {
        let gun = image.gun();
        let (roots, server) = self.published(image).await?;
        let base = roots.last().map(|file| root_of(gun, file)).transpose()?;
        let wishes = self.wishes(image, base.as_ref()).await?;
        let root = design::design(gun, base.as_ref(), &wishes, self.ctx.now)?;
        let also = if wishes.targets.is_some() { Also::Targets } else { Also::Nothing };
        Ok(Repository { gun: gun.clone(), server, roots, root: root.write(), also })
    }

    /// What is known of every root key that takes part.
    pub(super) async fn known(&self, repositories: &[Repository]) -> Result<Vec<RootKey>, Error> {
        let mut part: BTreeSet<KeyId> = BTreeSet::new();
        for repository in repositories {
            let new: Option<Root> = touchmark_tuf::exact(&repository.root).ok();
            let old = repository.roots.last().map(|file| root_of(&repository.gun, file)).transpose()?;
            part.extend(new.iter().chain(&old).flat_map(design::root_keys));
        }
        let mut known: BTreeMap<KeyId, RootKey> = BTreeMap::new();
        for file in self.files.iter().chain(&self.known) {
            known.entry(file.key.public.canonical_id()).or_insert_with(|| file.key.clone());
        }
        if let Some(daemon) = &self.daemon {
            let list = daemon.tokens().list(v1::ListTokensRequest {}).await.map_err(failure)?.into_inner();
            for token in &list.tokens {
                for (id, public, key) in device::root_keys(token)? {
                    if part.contains(&id) && !known.contains_key(&id) {
                        let proof = device::attest(self.ctx, daemon, token, &public, None).await;
                        // Where it says nothing of an old key, whoever signs asks again.
                        let certificates = proof.map(|proof| proof.certificates).unwrap_or_default();
                        known.insert(id, device::described(token, key, public, certificates));
                    }
                }
            }
        }
        Ok(known.into_iter().filter(|(id, _)| part.contains(id)).map(|(_, key)| key).collect())
    }

    /// The roots that are published, and where.
    async fn published(&self, image: &Image) -> Result<(Vec<Vec<u8>>, String), Error> {
        let gun = image.gun();
        let exists = || {
            Error::usage(format!("{gun} has trust data already"))
                .hint("leave out --create, or the repository")
        };
        if self.occasion == Occasion::Rehearsal {
            return match self.earlier.get(gun) {
                Some(_) if self.args.create => Err(exists()),
                Some(roots) => Ok((roots.clone(), String::new())),
                None if self.args.create || self.args.from.is_none() => Ok((Vec::new(), String::new())),
                None => Err(Error::new(
                    Reason::NoTrustData,
                    format!("the earlier rehearsal has no complete root of {gun}"),
                )
                .hint("--create, in a plan of its own")),
            };
        }
        let notary = self.ctx.notary(image)?;
        let roots = published::roots(self.ctx, image, &notary).await?;
        match (roots, self.args.create) {
            (Some(_), true) => Err(exists()),
            (Some(roots), false) => Ok((roots, notary.server().to_string())),
            (None, true) => Ok((Vec::new(), notary.server().to_string())),
            (None, false) => Err(Error::new(
                Reason::NoTrustData,
                format!("{gun} has no trust data on {}", notary.server()),
            )
            .hint("--create, in a plan of its own")),
        }
    }

    async fn wishes(&self, image: &Image, base: Option<&Root>) -> Result<Wishes, Error> {
        let (gun, change) = (image.gun(), &self.args.change);
        let mut wishes = Wishes {
            threshold: change.threshold,
            unchanged: if change.renew { Unchanged::Renew } else { Unchanged::Refuse },
            ..Wishes::default()
        };
        if let Some(base) = base {
            let remove = change.remove_root.iter().map(|written| design::meant(gun, base, written));
            wishes.remove = remove.collect::<Result<_, _>>()?;
        }
        let listed = base.map(design::root_keys).unwrap_or_default();
        let renews = |key: &KeyId| change.renew_certificates && listed.contains(key);
        for file in self.files.iter().filter(|file| !renews(&file.key.public.canonical_id())) {
            wishes.add.push(file.certificate(gun)?.clone());
        }
        for key in self.local.iter().filter(|key| !renews(key)) {
            wishes.add.push(self.certificate(key, gun, Certificate::Kept).await?);
        }
        if change.renew_certificates {
            for key in listed.iter().filter(|key| !wishes.remove.contains(key)) {
                wishes.renewed.push(self.renewed(key, gun).await?);
            }
        }
        self.other_keys(image, base, &mut wishes).await?;
        Ok(wishes)
    }

    /// The keys that are none of people: of the server, and of the vault.
    async fn other_keys(&self, image: &Image, base: Option<&Root>, wishes: &mut Wishes) -> Result<(), Error> {
        let is_new = base.is_none();
        if self.occasion == Occasion::Rehearsal {
            wishes.targets = (is_new || self.args.rotate_targets).then(|| rehearsal::targets(base));
            wishes.snapshot = is_new.then(rehearsal::snapshot);
            wishes.timestamp = is_new.then(rehearsal::timestamp);
            return Ok(());
        }
        if is_new || self.args.rotate_targets {
            wishes.targets = Some(self.tagging_key(image.gun(), base).await?);
        }
        if is_new {
            // Each question makes another key on the server: so once, and last.
            let notary = self.ctx.notary(image)?;
            let _one_at_a_time = self.making.lock().await;
            wishes.timestamp = Some(server_key(&notary.timestamp_key().await?)?);
            wishes.snapshot = Some(server_key(&notary.snapshot_key().await?)?);
        }
        Ok(())
    }

    /// A tagging key of the vault that the root does not list yet: one that an earlier attempt made, or a new one.
    async fn tagging_key(&self, gun: &Gun, base: Option<&Root>) -> Result<PublicKey, Error> {
        let daemon = self.daemon()?;
        let mut keys = self.keys.lock().await;
        let listed: Vec<String> = base
            .into_iter()
            .flat_map(|root| root.keys_of(&RoleName::Targets))
            .map(|key| key.canonical_id().to_string())
            .collect();
        let fits = |key: &&v1::Key| {
            key.role() == v1::Role::Targets
                && key.repositories.iter().any(|one| one == gun.as_str())
                && !listed.contains(&key.id)
        };
        let key = match keys.iter().find(fits) {
            Some(key) => key.clone(),
            None => {
                let repository = gun.to_string();
                let role = v1::Role::Targets.into();
                let made = key::make(daemon, v1::CreateKeyRequest { role, repository, ..Default::default() });
                let made = made.await?;
                keys.push(made.clone());
                made
            }
        };
        PublicKey::from_spki(&key.public_key)
            .map_err(|cause| Error::internal(format!("a key of touchmarkd cannot be read: {cause}")))
    }

    /// A new certificate of a root key that stays: from its file, or of the daemon here.
    async fn renewed(&self, key: &KeyId, gun: &Gun) -> Result<PublicKey, Error> {
        let file = self.files.iter().chain(&self.known).find(|file| file.key.public.canonical_id() == *key);
        if let Some(file) = file {
            return file.certificate(gun).cloned();
        }
        let is_here = {
            let keys = self.keys.lock().await;
            keys.iter().any(|one| one.role() == v1::Role::Root && one.id == key.to_string())
        };
        if is_here {
            return self.certificate(key, gun, Certificate::Renewed).await;
        }
        let message =
            format!("a new certificate of the root key {key} for {gun} is wanted, and its token is not here");
        Err(Error::new(Reason::KeyUnknown, message).hint(format!(
            "where its token is: touchmark ceremony key --renew --token NAME {gun} --out FILE; then --known FILE here"
        )))
    }

    async fn certificate(&self, key: &KeyId, gun: &Gun, which: Certificate) -> Result<PublicKey, Error> {
        let _one_at_a_time = self.keys.lock().await;
        self.daemon()?.root_certificate(key, gun, which).await
    }

    fn daemon(&self) -> Result<&Daemon, Error> {
        self.daemon.as_ref().ok_or_else(|| Error::internal("touchmarkd was not asked for"))
    }
}

fn key_file(path: &Path, occasion: Occasion) -> Result<KeyFile, Error> {
    let read = KeyFile::load(path)?;
    if read.occasion == occasion {
        return Ok(read);
    }
    let message = match read.occasion {
        Occasion::Rehearsal => format!("{} is for rehearsals, and this plan is in earnest", file::name(path)),
        Occasion::Earnest => format!("{} is in earnest, and this plan is a rehearsal", file::name(path)),
    };
    Err(Error::new(Reason::RehearsalOnly, message)
        .hint("touchmark ceremony key, with or without --rehearsal"))
}

/// The document in a root file that was verified before, or will be with the whole plan.
fn root_of(gun: &Gun, file: &[u8]) -> Result<Root, Error> {
    let parsed = Unverified::<Root>::parse(file).map_err(|cause| {
        Error::new(Reason::TrustDataInvalid, format!("the published root of {gun} cannot be read: {cause}"))
    })?;
    Ok(parsed.document_unverified().clone())
}
