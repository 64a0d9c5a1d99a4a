//! The vault's keys: made, imported, loaded, used, forgotten.
use touchmark_tuf::{DelegationName, EcdsaSignature, Gun, KeyId, PublicKey};

use super::binding::{Binding, KeyRole};
use super::error::VaultError;
use super::key_file::{KeyFileHeader, take_plain};
use super::locked::{Inside, SecretBuf};
use super::scalar::{self, Point, SignFault};
use super::sealed::{AssociatedData, Sealed};
use super::{Entry, Open, Vault};

/// Keys unsealed on one visit to a locked stack: signatures wait no longer than that.
const BATCH: usize = 256;

/// A sealed key as the store has it.
#[derive(Debug)]
pub struct KeyToLoad<'a> {
    /// Its id.
    pub id: KeyId,
    /// What it was sealed for.
    pub binding: &'a Binding,
    /// Its public key.
    pub public: &'a PublicKey,
    /// The box.
    pub sealed: &'a Sealed,
}

/// What the caller of an import says of the key; what it leaves open, the file's header says.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The role.
    pub role: Option<KeyRole>,
    /// The repositories; empty: the header's `gun`.
    pub guns: Vec<Gun>,
}

/// An imported key; it is loaded already.
#[derive(Debug)]
pub struct Imported {
    /// Its public key.
    pub public: PublicKey,
    /// For the store.
    pub sealed: Sealed,
    /// What it is sealed for.
    pub binding: Binding,
    /// What the file said.
    pub header: KeyFileHeader,
}

impl Vault {
    /// Makes a key and loads it.
    ///
    /// # Errors
    /// [`VaultError::Locked`]; [`VaultError::RootKey`]; [`VaultError::Memory`] when no slot is left.
    pub fn generate(&self, binding: &Binding) -> Result<(PublicKey, Sealed), VaultError> {
        self.add(binding, scalar::generate)
    }

    /// Seals and loads the key of a key file: Docker's and Notary's encrypted files, old and new, and plain PEM.
    ///
    /// # Errors
    /// [`VaultError::KeyFile`] names what is wrong with the file; [`VaultError::NoRole`], [`VaultError::NoRepository`]
    /// and [`VaultError::Header`] what it does not say; else as [`Vault::generate`].
    pub fn import(
        &self,
        file: &SecretBuf,
        passphrase: Option<&SecretBuf>,
        wanted: Wanted,
    ) -> Result<Imported, VaultError> {
        if !self.is_open() {
            return Err(VaultError::Locked); // before anybody's time goes into a key derivation
        }
        let plain = take_plain(&self.locked, file, passphrase)?;
        let binding = wanted.binding(&plain.header)?;
        let (public, sealed) = self.add(&binding, |key, inside| {
            key.copy_from_slice(plain.scalar.expose());
            scalar::point(key, inside).ok_or(VaultError::Primitive("P-256"))
        })?;
        Ok(Imported { public, sealed, binding, header: plain.header })
    }

    /// Loads one sealed key. A key that is loaded already stays.
    ///
    /// # Errors
    /// [`VaultError::Broken`] when it was not sealed by this vault for this binding and public key; else as
    /// [`Vault::generate`].
    pub fn load(
        &self,
        id: KeyId,
        binding: &Binding,
        public: &PublicKey,
        sealed: &Sealed,
    ) -> Result<(), VaultError> {
        match self.load_many(&[KeyToLoad { id, binding, public, sealed }])?.pop() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Loads sealed keys, a few microseconds each. Answers those that could not be loaded, and why; one broken key
    /// keeps no other out.
    ///
    /// # Errors
    /// [`VaultError::Locked`], also when the vault is locked half way.
    pub fn load_many(&self, keys: &[KeyToLoad<'_>]) -> Result<Vec<(KeyId, VaultError)>, VaultError> {
        let mut failed = Vec::new();
        for batch in keys.chunks(BATCH) {
            let mut state = self.write();
            let open = state.as_mut().ok_or(VaultError::Locked)?;
            let mut found = Vec::with_capacity(batch.len());
            for key in batch {
                if open.keys.contains_key(&key.id) {
                    continue;
                }
                match open.prepare(key) {
                    Ok(entry) => found.push((key, entry)),
                    Err(error) => failed.push((key.id, error)),
                }
            }
            let mut opened = vec![false; found.len()];
            self.locked.inside(|inside| {
                for (opened, (key, entry)) in opened.iter_mut().zip(&found) {
                    *opened = open.unseal(key, entry, inside).is_some();
                }
            })?;
            for (opened, (key, entry)) in opened.into_iter().zip(found) {
                if opened {
                    open.insert(key.id, entry);
                } else {
                    open.slots.give_back(entry.slot);
                    failed.push((key.id, VaultError::Broken(key.id)));
                }
            }
        }
        Ok(failed)
    }

    /// Wipes one key from memory; whether it was there.
    pub fn forget(&self, id: &KeyId) -> bool {
        let mut state = self.write();
        let Some(open) = state.as_mut() else { return false };
        let Some(entry) = open.keys.remove(id) else { return false };
        open.slots.give_back(entry.slot);
        true
    }

    /// ECDSA P-256 over SHA-256 of `message`, each time with another nonce. The caller verifies it before it leaves.
    ///
    /// # Errors
    /// [`VaultError::Locked`]; [`VaultError::KeyUnknown`]; [`VaultError::Mismatch`] when the scalar turns out not to
    /// belong to the public key it was sealed with.
    pub fn sign(&self, id: &KeyId, message: &[u8]) -> Result<EcdsaSignature, VaultError> {
        let state = self.read();
        let open = state.as_ref().ok_or(VaultError::Locked)?;
        let entry = open.keys.get(id).ok_or(VaultError::KeyUnknown(*id))?;
        let signature = self.locked.inside(|inside| {
            let key = open.slots.read(&entry.slot, inside).ok_or(VaultError::LostSlot)?;
            scalar::sign(key, &entry.point, message, inside).map_err(|fault| match fault {
                SignFault::Mismatch => VaultError::Mismatch(*id),
                SignFault::Refused => VaultError::Primitive("P-256"),
            })
        })??;
        Ok(EcdsaSignature::from_raw(signature.0))
    }

    /// Puts a new key into a slot, seals it and keeps it loaded. `make` writes the key.
    fn add(
        &self,
        binding: &Binding,
        make: impl FnOnce(&mut [u8; 32], &Inside<'_>) -> Result<Point, VaultError>,
    ) -> Result<(PublicKey, Sealed), VaultError> {
        if *binding.role() == KeyRole::Root {
            return Err(VaultError::RootKey);
        }
        let mut state = self.write();
        let open = state.as_mut().ok_or(VaultError::Locked)?;
        let slot = open.slots.take()?;
        let made = self.locked.inside(|inside| {
            let key = open.slots.write(&slot, inside).ok_or(VaultError::LostSlot)?;
            let point = make(key, inside)?;
            let key = open.slots.read(&slot, inside).ok_or(VaultError::LostSlot)?;
            let vault_key = open.slots.read(&open.vault_key, inside).ok_or(VaultError::LostSlot)?;
            let sealed = Sealed::seal(vault_key, &AssociatedData::of(binding, &point), key, inside)?;
            Ok::<_, VaultError>((point, sealed))
        });
        let (point, sealed) = match made.map_err(VaultError::from).flatten() {
            Ok(made) => made,
            Err(error) => {
                open.slots.give_back(slot);
                return Err(error);
            }
        };
        let public = PublicKey::from_p256_point(&point.0);
        open.insert(public.id(), Entry { slot, point });
        Ok((public, sealed))
    }
}

impl Open {
    fn prepare(&mut self, key: &KeyToLoad<'_>) -> Result<Entry, VaultError> {
        let point = Point(key.public.p256_point().ok_or(VaultError::NotP256)?);
        Ok(Entry { slot: self.slots.take()?, point })
    }

    fn unseal(&mut self, key: &KeyToLoad<'_>, entry: &Entry, inside: &Inside<'_>) -> Option<()> {
        let vault_key = *self.slots.read(&self.vault_key, inside)?; // a copy on the locked stack
        let slot = self.slots.write(&entry.slot, inside)?;
        key.sealed
            .open(&vault_key, &AssociatedData::of(key.binding, &entry.point), slot, inside)
            .then_some(())
    }

    /// A key that was there under this id gives its slot back.
    fn insert(&mut self, id: KeyId, entry: Entry) {
        if let Some(old) = self.keys.insert(id, entry) {
            self.slots.give_back(old.slot);
        }
    }
}

impl Wanted {
    fn binding(self, header: &KeyFileHeader) -> Result<Binding, VaultError> {
        let role = match (self.role, &header.role) {
            (Some(role), _) => role,
            (None, Some(text)) => role_of_header(text)?,
            (None, None) => return Err(VaultError::NoRole),
        };
        let guns = match (self.guns, &header.gun) {
            (guns, _) if !guns.is_empty() => guns,
            (_, Some(text)) => vec![text.parse().map_err(|error| bad_header("gun", &error))?],
            (_, None) if role == KeyRole::Root => Vec::new(),
            (_, None) => return Err(VaultError::NoRepository),
        };
        Ok(Binding::new(role, guns))
    }
}

/// Docker writes a signer's bare name (`alice`), Notary also the whole role (`targets/alice`).
fn role_of_header(text: &str) -> Result<KeyRole, VaultError> {
    Ok(match text {
        "root" => KeyRole::Root,
        "targets" => KeyRole::Targets,
        "snapshot" => KeyRole::Snapshot,
        name => {
            let short = name.strip_prefix("targets/").unwrap_or(name);
            KeyRole::Delegation(DelegationName::new(short).map_err(|error| bad_header("role", &error))?)
        }
    })
}

fn bad_header(header: &'static str, why: &dyn std::fmt::Display) -> VaultError {
    VaultError::Header { header, why: why.to_string() }
}

#[cfg(test)]
mod tests;
