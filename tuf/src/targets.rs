//! The targets document, of `targets` itself and of every delegation: which digest a tag stands for, and who else may
//! sign tags.
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::canonical::{Reader, Writer};
use crate::digest::Sha256Digest;
use crate::document::{
    Document, Hashes, RoleKeys, check_keys, read_expires, read_key_ids, read_keys, read_threshold, read_type,
    read_version, required, write_key_ids, write_keys,
};
use crate::error::{DocumentError, ValueError};
use crate::ids::{DelegationName, KeyId, RoleName, TargetName, Version};
use crate::instant::Expires;
use crate::key::PublicKey;
use crate::limits;

/// A targets document. It names neither its repository nor its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Who else may sign tags.
    pub delegations: Delegations,
    /// Until when readers may believe it.
    pub expires: Expires,
    /// The tags.
    pub targets: BTreeMap<TargetName, Target>,
    /// Grows with each signing.
    pub version: Version,
}

impl Targets {
    /// The delegation of that name, if this document lists it.
    #[must_use]
    pub fn delegation(&self, name: &DelegationName) -> Option<&DelegatedRole> {
        self.delegations.roles.iter().find(|role| role.name == *name)
    }
}

/// What a tag stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Digests of the manifest.
    pub hashes: Hashes,
    /// Length of the manifest in bytes.
    pub length: u64,
    /// Anything else that the signer said about it, as canonical JSON, never shown as it is.
    pub custom: Option<Box<str>>,
}

impl Target {
    /// What Docker writes: the SHA-256 of a manifest and its length in bytes.
    #[must_use]
    pub const fn new(sha256: Sha256Digest, length: u64) -> Self {
        Self { hashes: Hashes { sha256: Some(sha256), sha512: None }, length, custom: None }
    }

    /// SHA-256 of the manifest; Docker takes no tag without it.
    #[must_use]
    pub const fn sha256(&self) -> Option<&Sha256Digest> {
        self.hashes.sha256.as_ref()
    }
}

/// The delegations of a targets document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delegations {
    /// The keys that `roles` name.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// The delegated roles, in the order in which a reader walks them.
    pub roles: Vec<DelegatedRole>,
}

/// One delegated role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegatedRole {
    /// Its name.
    pub name: DelegationName,
    /// Who may sign for it, each key once. Docker leaves a role without keys behind its last signer: nobody can sign.
    pub key_ids: Vec<KeyId>,
    /// How many different keys must sign.
    pub threshold: NonZeroU32,
    /// Prefixes of the tags that it may sign; `""` is every tag, no prefix is no tag.
    pub paths: Vec<String>,
}

impl DelegatedRole {
    /// Who may sign for it.
    #[must_use]
    pub fn role_keys(&self) -> RoleKeys {
        RoleKeys { key_ids: self.key_ids.clone(), threshold: self.threshold }
    }

    /// Whether it may sign this tag.
    #[must_use]
    pub fn covers(&self, tag: &TargetName) -> bool {
        self.paths.iter().any(|prefix| tag.as_str().starts_with(prefix.as_str()))
    }
}

impl Document for Targets {
    const ROLE_TYPE: &'static str = "Targets";
    const LIMIT: usize = limits::TARGETS_BYTES;

    fn version(&self) -> Version {
        self.version
    }

    fn expires(&self) -> &Expires {
        &self.expires
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError> {
        let (mut kind, mut delegations, mut expires, mut targets, mut version) =
            (None, None, None, None, None);
        reader.fields(&["_type", "delegations", "expires", "targets", "version"], |reader, field| {
            match field {
                "_type" => kind = Some(read_type::<Self>(reader)?),
                "delegations" => delegations = Some(read_delegations(reader)?),
                "expires" => expires = Some(read_expires(reader)?),
                "targets" => targets = Some(read_targets(reader)?),
                _ => version = Some(read_version(reader)?),
            }
            Ok(())
        })?;
        required(kind, "_type")?;
        Ok(Self {
            delegations: required(delegations, "delegations")?,
            expires: required(expires, "expires")?,
            targets: required(targets, "targets")?,
            version: required(version, "version")?,
        })
    }

    fn write_to(&self, out: &mut Writer<'_>) {
        out.raw(r#"{"_type":"Targets","delegations":{"keys":"#);
        write_keys(out, &self.delegations.keys);
        out.raw(r#","roles":["#);
        out.list(&self.delegations.roles, write_role);
        out.raw(r#"]},"expires":"#);
        out.string(self.expires.text());
        out.raw(r#","targets":{"#);
        out.list(&self.targets, |out, (name, target)| {
            out.string(name.as_str());
            out.raw(":{");
            if let Some(custom) = &target.custom {
                out.raw(r#""custom":"#);
                out.raw(custom);
                out.raw(",");
            }
            out.raw(r#""hashes":"#);
            target.hashes.write(out);
            out.raw(r#","length":"#);
            out.integer(target.length);
            out.raw("}");
        });
        out.raw(r#"},"version":"#);
        out.integer(self.version.get());
        out.raw("}");
    }
}

fn read_targets(reader: &mut Reader<'_>) -> Result<BTreeMap<TargetName, Target>, DocumentError> {
    let mut targets = BTreeMap::new();
    reader.map("tags", limits::TAGS, |reader, name| {
        let name = TargetName::try_from(&*name)
            .map_err(|error| DocumentError::Value { field: "targets", cause: ValueError::Id(error) })?;
        targets.insert(name, read_target(reader)?);
        Ok(())
    })?;
    Ok(targets)
}

fn read_target(reader: &mut Reader<'_>) -> Result<Target, DocumentError> {
    let (mut custom, mut hashes, mut length) = (None, None, None);
    reader.fields(&["custom", "hashes", "length"], |reader, field| {
        match field {
            "custom" => custom = read_custom(reader)?,
            "hashes" => hashes = Some(Hashes::read(reader)?),
            _ => length = Some(reader.unsigned("length")?),
        }
        Ok(())
    })?;
    let hashes = required(hashes, "hashes")?;
    if !reader.skips_unknown() && hashes.sha256.is_none() {
        return Err(DocumentError::Value { field: "hashes", cause: ValueError::NoSha256 });
    }
    Ok(Target { hashes, length: required(length, "length")?, custom })
}

fn read_custom(reader: &mut Reader<'_>) -> Result<Option<Box<str>>, DocumentError> {
    let text = reader.value()?;
    if !reader.skips_unknown() && text.len() > limits::CUSTOM_BYTES {
        let cause = ValueError::TooLong { limit: limits::CUSTOM_BYTES };
        return Err(DocumentError::Value { field: "custom", cause });
    }
    Ok((text != "null").then(|| text.into()))
}

fn read_delegations(reader: &mut Reader<'_>) -> Result<Delegations, DocumentError> {
    let (mut keys, mut roles) = (None, None);
    reader.fields(&["keys", "roles"], |reader, field| {
        match field {
            "keys" => keys = Some(read_keys(reader)?),
            _ => roles = Some(read_roles(reader)?),
        }
        Ok(())
    })?;
    let delegations = Delegations { keys: required(keys, "keys")?, roles: required(roles, "roles")? };
    for role in &delegations.roles {
        let name = RoleName::Delegation(role.name.clone());
        check_keys(&name, &role.key_ids, &delegations.keys, !reader.skips_unknown())?;
    }
    Ok(delegations)
}

fn read_roles(reader: &mut Reader<'_>) -> Result<Vec<DelegatedRole>, DocumentError> {
    let mut names = std::collections::BTreeSet::new();
    let mut roles = Vec::new();
    reader.array("delegations", limits::DELEGATIONS, |reader| {
        let role = read_role(reader)?;
        if !names.insert(role.name.clone()) {
            return Err(DocumentError::DuplicateDelegation { role: role.name.into() });
        }
        roles.push(role);
        Ok(())
    })?;
    Ok(roles)
}

fn read_role(reader: &mut Reader<'_>) -> Result<DelegatedRole, DocumentError> {
    let (mut key_ids, mut name, mut paths, mut threshold) = (None, None, Vec::new(), None);
    reader.fields(&["keyids", "name", "paths", "threshold"], |reader, field| {
        match field {
            "keyids" => key_ids = Some(read_key_ids(reader)?),
            "name" => name = Some(read_name(reader)?),
            "paths" => paths = read_paths(reader)?,
            _ => threshold = Some(read_threshold(reader)?),
        }
        Ok(())
    })?;
    Ok(DelegatedRole {
        name: required(name, "name")?,
        key_ids: required(key_ids, "keyids")?,
        threshold: required(threshold, "threshold")?,
        paths,
    })
}

fn read_name(reader: &mut Reader<'_>) -> Result<DelegationName, DocumentError> {
    let name = reader.string()?;
    DelegationName::try_from(&*name)
        .map_err(|error| DocumentError::Value { field: "name", cause: ValueError::Id(error) })
}

fn read_paths(reader: &mut Reader<'_>) -> Result<Vec<String>, DocumentError> {
    let mut paths = Vec::new();
    reader.array("paths of one delegation", limits::PATHS, |reader| {
        paths.push(reader.string()?.into_owned());
        Ok(())
    })?;
    Ok(paths)
}

fn write_role(out: &mut Writer<'_>, role: &DelegatedRole) {
    out.raw(r#"{"keyids":"#);
    write_key_ids(out, &role.key_ids);
    out.raw(r#","name":"#);
    out.plain(&role.name);
    if !role.paths.is_empty() {
        out.raw(r#","paths":["#);
        out.list(&role.paths, |out, path| out.string(path));
        out.raw("]");
    }
    out.raw(r#","threshold":"#);
    out.integer(role.threshold.get().into());
    out.raw("}");
}

#[cfg(test)]
mod tests;
