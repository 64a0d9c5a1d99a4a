//! What was typed becomes wishes: first as a sketch, in which new certificates and keys are stood in for, so that
//! nothing is made before a person has agreed; then in earnest.
use std::path::Path;

use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{EcdsaSignature, Gun, KeyId, PublicKey, RoleName, Root, to_be_signed};

use super::Rotation;
use crate::args::{RootArgs, SnapshotHolder};
use crate::ceremony::design::{self, Unchanged, Wishes};
use crate::ceremony::keyholder::KeyFile;
use crate::ceremony::plan::Occasion;
use crate::ceremony::quorum::{Side, Whose};
use crate::cmd::key;
use crate::daemon::{Certificate, Daemon};
use crate::error::Error;
use crate::image::Image;
use crate::publish::ROOT_LIFE;
use crate::publish::root::Standing;

/// What is to be rotated.
#[derive(Debug)]
pub(super) enum Wish {
    /// Root keys.
    Root(RootArgs),
    /// The tagging key.
    Targets,
    /// The snapshot key, to this holder.
    Snapshot(SnapshotHolder),
    /// The timestamp key.
    Timestamp,
}

/// How far things have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is made.
    Sketch,
    /// Certificates and keys are made.
    Earnest,
}

impl Wish {
    /// The word on the command line.
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::Root(_) => "root",
            Self::Targets => "targets",
            Self::Snapshot(_) => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// Whether what was published meanwhile leaves something to be wished.
    pub(super) fn remains(&self, gun: &Gun, before: &Root, after: &Root) -> Result<bool, Error> {
        let same = |role: RoleName| before.role(&role) == after.role(&role);
        Ok(match self {
            Self::Targets => same(RoleName::Targets),
            Self::Snapshot(_) => same(RoleName::Snapshot),
            Self::Timestamp => same(RoleName::Timestamp),
            Self::Root(change) => {
                let has = |written: &String| design::meant(gun, after, written).is_ok();
                let added = change.add_root.iter().filter(|written| !is_file(written)).all(has);
                let from_files = change.add_root.iter().filter(|written| is_file(written));
                let added = added
                    && from_files.map(|written| KeyFile::load(Path::new(written))).try_fold(
                        true,
                        |all, file| {
                            Ok::<_, Error>(
                                all && design::root_keys(after).contains(&file?.key.public.canonical_id()),
                            )
                        },
                    )?;
                let threshold = change.threshold.is_none_or(|wanted| wanted == after.roles.root.threshold);
                let renewed = !change.renew_certificates || !same(RoleName::Root);
                !(added && !change.remove_root.iter().any(has) && threshold && renewed)
            }
        })
    }

    /// What is made before the root is signed, in words.
    pub(super) fn makes(&self, base: &Root) -> Option<String> {
        match self {
            Self::Root(change) if change.renew_certificates => Some(format!(
                "each of its {} root keys signs a certificate first",
                design::root_keys(base).len()
            )),
            Self::Root(_) => None,
            Self::Targets => Some("the new tagging key is made in the vault".to_owned()),
            Self::Snapshot(SnapshotHolder::Vault) => {
                Some("the new snapshot key is made in the vault".to_owned())
            }
            Self::Snapshot(SnapshotHolder::Server) => {
                Some("the trust server makes the new snapshot key".to_owned())
            }
            Self::Timestamp => Some("the trust server makes the new timestamp key".to_owned()),
        }
    }

    /// That keys of other people have to sign too.
    pub(super) fn needs_others(&self, image: &Image, root: &Root, missing: &[(&Side, usize)]) -> Error {
        let sides = missing.iter().map(|(side, number)| {
            let of = match side.whose {
                Whose::Old => "the root keys so far",
                Whose::New => "the new root keys",
            };
            let keys: Vec<String> = side.keys.iter().map(KeyId::to_string).collect();
            format!("{number} more of {of} ({})", keys.join(", "))
        });
        let message = format!(
            "touchmarkd does not hold all keys that root version {} of {} needs: {}",
            root.version,
            image.gun(),
            sides.collect::<Vec<_>>().join("; ")
        );
        let name = image.familiar();
        let hint = match self {
            Self::Root(change) => format!("touchmark ceremony plan {name}{} --out FILE", flags(change)),
            Self::Targets => format!("touchmark ceremony plan {name} --rotate-targets --out FILE"),
            Self::Snapshot(_) | Self::Timestamp => {
                "touchmark key ls; run it where the root keys are".to_owned()
            }
        };
        Error::new(Reason::KeyUnknown, message).hint(hint)
    }
}

impl Rotation<'_> {
    /// The wishes at a stage.
    pub(super) async fn wishes(
        &self,
        standing: &Standing,
        base: &Root,
        stage: Stage,
    ) -> Result<Wishes, Error> {
        let mut wishes = Wishes::default();
        match self.wish {
            Wish::Root(change) => self.root_wishes(change, standing, base, stage, &mut wishes).await?,
            Wish::Targets => wishes.targets = Some(self.vault_key(standing, v1::Role::Targets, stage).await?),
            Wish::Snapshot(SnapshotHolder::Vault) => {
                wishes.snapshot = Some(self.vault_key(standing, v1::Role::Snapshot, stage).await?);
            }
            Wish::Snapshot(SnapshotHolder::Server) => {
                wishes.snapshot = Some(self.server_key(&RoleName::Snapshot, stage).await?);
            }
            Wish::Timestamp => wishes.timestamp = Some(self.server_key(&RoleName::Timestamp, stage).await?),
        }
        Ok(wishes)
    }

    async fn root_wishes(
        &self,
        change: &RootArgs,
        standing: &Standing,
        base: &Root,
        stage: Stage,
        wishes: &mut Wishes,
    ) -> Result<(), Error> {
        let gun = self.image.gun();
        for written in &change.remove_root {
            let key = design::meant(gun, base, written)?;
            if !wishes.remove.contains(&key) {
                wishes.remove.push(key);
            }
        }
        for written in &change.add_root {
            wishes.add.push(if is_file(written) {
                from_file(written, gun)?
            } else {
                let key = public(root_key(standing, written)?)?;
                self.certificate(&key, Certificate::Kept, stage).await?
            });
        }
        wishes.threshold = change.threshold;
        if change.renew_certificates {
            let stay = design::root_keys(base).into_iter().filter(|key| !wishes.remove.contains(key));
            for key in stay {
                let held = standing.keys.iter().find(|held| held.id == key.to_string()).ok_or_else(|| {
                    let message = format!("only the root key {key} can sign its new certificate, and touchmarkd does not hold it");
                    let hint = format!("touchmark ceremony key --token NAME {gun} --renew --out FILE, where it is");
                    Error::new(Reason::KeyUnknown, message).hint(hint)
                })?;
                wishes.renewed.push(self.certificate(&public(held)?, Certificate::Renewed, stage).await?);
            }
        }
        if change.renew {
            wishes.unchanged = Unchanged::Renew;
        }
        Ok(())
    }

    async fn certificate(
        &self,
        key: &PublicKey,
        which: Certificate,
        stage: Stage,
    ) -> Result<PublicKey, Error> {
        let gun = self.image.gun();
        if stage == Stage::Earnest {
            return self.daemon.root_certificate(&key.canonical_id(), gun, which).await;
        }
        let broken =
            |cause: &dyn std::fmt::Display| Error::internal(format!("a certificate to show: {cause}"));
        let point = key.p256_point().ok_or_else(|| broken(&"it is not on P-256"))?;
        let (from, to) = (self.ctx.now, self.ctx.now.plus(ROOT_LIFE));
        let stand_in = to_be_signed(gun, &point, [1; 16], from, to).map_err(|cause| broken(&cause))?;
        let stand_in = stand_in.finish(&EcdsaSignature::from_raw([1; 64])).map_err(|cause| broken(&cause))?;
        Ok(stand_in.public_key())
    }

    async fn vault_key(&self, standing: &Standing, role: v1::Role, stage: Stage) -> Result<PublicKey, Error> {
        match stage {
            Stage::Sketch => Ok(stand_in()),
            Stage::Earnest => self.publisher.new_vault_key(standing, role).await,
        }
    }

    async fn server_key(&self, role: &RoleName, stage: Stage) -> Result<PublicKey, Error> {
        match stage {
            Stage::Sketch => Ok(stand_in()),
            Stage::Earnest => self.publisher.new_server_key(role).await,
        }
    }
}

/// The root keys of the daemon, those on tokens that are there first, and those that are to go last.
pub(super) fn held(daemon: &Daemon, keys: &[v1::Key], goes: impl Fn(&KeyId) -> bool) -> Vec<KeyId> {
    let is_there = |name: &str| {
        let token = daemon.status().tokens.iter().find(|token| token.name == name);
        token.is_some_and(|token| token.presence() == v1::TokenPresence::Present)
    };
    let roots = keys.iter().filter(|key| key.role() == v1::Role::Root);
    let mut held: Vec<(bool, bool, KeyId)> = roots
        .filter_map(|key| Some((key, key.id.parse().ok()?)))
        .map(|(key, id)| (!is_there(&key.token), goes(&id), id))
        .collect();
    held.sort_unstable();
    held.into_iter().map(|(_, _, id)| id).collect()
}

fn is_file(written: &str) -> bool {
    Path::new(written).is_file()
}

fn from_file(written: &str, gun: &Gun) -> Result<PublicKey, Error> {
    let path = Path::new(written);
    let file = KeyFile::load(path)?;
    let name = crate::ceremony::file::name(path);
    if file.occasion == Occasion::Rehearsal {
        let message = format!("{name} is from a rehearsal");
        return Err(
            Error::new(Reason::RehearsalOnly, message).hint("touchmark ceremony key makes one in earnest")
        );
    }
    file.certificates.get(gun).cloned().ok_or_else(|| {
        Error::new(Reason::CeremonyInvalid, format!("{name} has no certificate for {gun}"))
            .hint(format!("touchmark ceremony key --token NAME {gun} --out FILE, where the key is"))
    })
}

fn root_key<'s>(standing: &'s Standing, written: &str) -> Result<&'s v1::Key, Error> {
    let roots: Vec<v1::Key> =
        standing.keys.iter().filter(|key| key.role() == v1::Role::Root).cloned().collect();
    let id = &key::find(&roots, written)?.id;
    let found = standing.keys.iter().find(|key| key.id == *id);
    found.ok_or_else(|| Error::internal(format!("the key {id} is gone")))
}

fn public(key: &v1::Key) -> Result<PublicKey, Error> {
    PublicKey::from_spki(&key.public_key)
        .map_err(|cause| Error::internal(format!("key {} of touchmarkd cannot be read: {cause}", key.id)))
}

/// A key that nobody has.
fn stand_in() -> PublicKey {
    PublicKey::from_p256_point(&[4; 65])
}

/// What was typed, for `ceremony plan`.
fn flags(change: &RootArgs) -> String {
    let words = |flag: &str, all: &[String]| {
        all.iter().map(|one| format!(" --{flag} {}", touchmark_tuf::shown(one))).collect::<String>()
    };
    let threshold = change.threshold.map(|number| format!(" --threshold {number}")).unwrap_or_default();
    let set = |flag: &str, is_set: bool| if is_set { format!(" --{flag}") } else { String::new() };
    [
        words("add-root", &change.add_root),
        words("remove-root", &change.remove_root),
        threshold,
        set("renew-certificates", change.renew_certificates),
        set("renew", change.renew),
    ]
    .concat()
}
