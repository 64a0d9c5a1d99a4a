//! The root document: which keys may sign for each base role.
use std::collections::{BTreeMap, BTreeSet};

use crate::canonical::{Reader, Writer};
use crate::document::{
    Document, RoleKeys, check_keys, read_expires, read_key_ids, read_keys, read_threshold, read_type,
    read_version, required, write_key_ids, write_keys,
};
use crate::error::DocumentError;
use crate::ids::{KeyId, RoleName, Version};
use crate::instant::Expires;
use crate::key::PublicKey;
use crate::limits;

/// A root document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Always false from Notary's clients; the server serves by digest all the same.
    pub consistent_snapshot: bool,
    /// Until when readers may believe it.
    pub expires: Expires,
    /// The keys that `roles` name, and retired ones.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Who may sign for what.
    pub roles: RootRoles,
    /// Grows by exactly one with each root.
    pub version: Version,
}

/// The four base roles of a root document. Nothing else may be in `roles` of a document to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootRoles {
    /// Root keys; certificates with Notary.
    pub root: RoleKeys,
    /// Snapshot keys, usually the server's.
    pub snapshot: RoleKeys,
    /// Targets keys.
    pub targets: RoleKeys,
    /// Timestamp keys, always the server's.
    pub timestamp: RoleKeys,
}

impl Root {
    /// Who may sign for a base role; `None` for a delegation.
    #[must_use]
    pub const fn role(&self, role: &RoleName) -> Option<&RoleKeys> {
        match role {
            RoleName::Root => Some(&self.roles.root),
            RoleName::Targets => Some(&self.roles.targets),
            RoleName::Snapshot => Some(&self.roles.snapshot),
            RoleName::Timestamp => Some(&self.roles.timestamp),
            RoleName::Delegation(_) => None,
        }
    }

    /// The described keys of a base role, in the order in which the role lists them; none for a delegation.
    pub fn keys_of(&self, role: &RoleName) -> impl Iterator<Item = &PublicKey> {
        self.role(role).into_iter().flat_map(|keys| &keys.key_ids).filter_map(|key_id| self.keys.get(key_id))
    }

    /// How many different keys a base role lists. One key in two certificates is one, though Notary counts two.
    #[must_use]
    pub fn different_keys(&self, role: &RoleName) -> usize {
        self.keys_of(role).filter_map(PublicKey::material).collect::<BTreeSet<_>>().len()
    }
}

impl Document for Root {
    const ROLE_TYPE: &'static str = "Root";
    const LIMIT: usize = limits::ROOT_BYTES;

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> &Expires {
        &self.expires
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError> {
        let (mut kind, mut consistent, mut expires, mut keys, mut roles, mut version) =
            (None, None, None, None, None, None);
        let known = ["_type", "consistent_snapshot", "expires", "keys", "roles", "version"];
        reader.fields(&known, |reader, field| {
            match field {
                "_type" => kind = Some(read_type::<Self>(reader)?),
                "consistent_snapshot" => consistent = Some(reader.boolean()?),
                "expires" => expires = Some(read_expires(reader)?),
                "keys" => keys = Some(read_keys(reader)?),
                "roles" => roles = Some(read_roles(reader)?),
                _ => version = Some(read_version(reader)?),
            }
            Ok(())
        })?;
        required(kind, "_type")?;
        let root = Self {
            consistent_snapshot: required(consistent, "consistent_snapshot")?,
            expires: required(expires, "expires")?,
            keys: required(keys, "keys")?,
            roles: required(roles, "roles")?,
            version: required(version, "version")?,
        };
        for role in [RoleName::Root, RoleName::Snapshot, RoleName::Targets, RoleName::Timestamp] {
            let Some(RoleKeys { key_ids, threshold }) = root.role(&role) else { continue };
            check_keys(&role, key_ids, &root.keys, !reader.skips_unknown())?;
            let enough = u32::try_from(key_ids.len()).is_ok_and(|count| count >= threshold.get());
            if key_ids.is_empty() || !(enough || reader.skips_unknown()) {
                return Err(DocumentError::TooFewKeys { role });
            }
        }
        Ok(root)
    }

    fn write_to(&self, out: &mut Writer<'_>) {
        out.raw(r#"{"_type":"Root","consistent_snapshot":"#);
        out.boolean(self.consistent_snapshot);
        out.raw(r#","expires":"#);
        out.string(self.expires.text());
        out.raw(r#","keys":"#);
        write_keys(out, &self.keys);
        out.raw(r#","roles":{"#);
        let RootRoles { root, snapshot, targets, timestamp } = &self.roles;
        let roles = [("root", root), ("snapshot", snapshot), ("targets", targets), ("timestamp", timestamp)];
        out.list(roles, |out, (name, keys)| {
            out.plain(&name);
            out.raw(r#":{"keyids":"#);
            write_key_ids(out, &keys.key_ids);
            out.raw(r#","threshold":"#);
            out.integer(keys.threshold.get().into());
            out.raw("}");
        });
        out.raw(r#"},"version":"#);
        out.integer(self.version.get());
        out.raw("}");
    }
}

fn read_roles(reader: &mut Reader<'_>) -> Result<RootRoles, DocumentError> {
    let (mut root, mut snapshot, mut targets, mut timestamp) = (None, None, None, None);
    reader.fields(&["root", "snapshot", "targets", "timestamp"], |reader, field| {
        let keys = read_role(reader)?;
        match field {
            "root" => root = Some(keys),
            "snapshot" => snapshot = Some(keys),
            "targets" => targets = Some(keys),
            _ => timestamp = Some(keys),
        }
        Ok(())
    })?;
    let missing = |role| DocumentError::MissingRole { role };
    Ok(RootRoles {
        root: root.ok_or_else(|| missing(RoleName::Root))?,
        snapshot: snapshot.ok_or_else(|| missing(RoleName::Snapshot))?,
        targets: targets.ok_or_else(|| missing(RoleName::Targets))?,
        timestamp: timestamp.ok_or_else(|| missing(RoleName::Timestamp))?,
    })
}

fn read_role(reader: &mut Reader<'_>) -> Result<RoleKeys, DocumentError> {
    let (mut key_ids, mut threshold) = (None, None);
    reader.fields(&["keyids", "threshold"], |reader, field| {
        match field {
            "keyids" => key_ids = Some(read_key_ids(reader)?),
            _ => threshold = Some(read_threshold(reader)?),
        }
        Ok(())
    })?;
    Ok(RoleKeys { key_ids: required(key_ids, "keyids")?, threshold: required(threshold, "threshold")? })
}

#[cfg(test)]
mod tests;
