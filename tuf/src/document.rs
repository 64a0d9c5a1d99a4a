//! What the four kinds of document have in common, and the pieces that several of them share.
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::canonical::{Reader, Sink, Writer};
use crate::digest::{Sha256Digest, Sha512Digest};
use crate::error::{DocumentError, ValueError};
use crate::ids::{KeyId, RoleName, Version};
use crate::instant::Expires;
use crate::key::{KeyType, PublicKey};
use crate::limits;

/// The signed part of a trust document: `Root`, `Targets`, `Snapshot` or `Timestamp`.
pub trait Document: Sized {
    /// The word in `_type`.
    const ROLE_TYPE: &'static str;
    /// The most bytes that a file of this kind may have.
    const LIMIT: usize;

    /// Grows by one with each signing.
    fn version(&self) -> Version;

    /// Until when readers may believe it.
    fn expires(&self) -> &Expires;

    /// Reads the canonical form.
    ///
    /// # Errors
    /// With the first rule of the form or of the kind that is broken.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError>;

    /// Writes the canonical form.
    fn write_to(&self, out: &mut Writer<'_>);

    /// The canonical form: the bytes that are signed.
    fn write(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        let sink: &mut dyn Sink = &mut bytes;
        self.write_to(&mut Writer::new(sink));
        bytes
    }
}

/// Who may sign for a role, and how many of them must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleKeys {
    /// The keys, each once.
    pub key_ids: Vec<KeyId>,
    /// How many different keys must sign.
    pub threshold: NonZeroU32,
}

impl RoleKeys {
    /// Any one of these keys.
    #[must_use]
    pub fn any_of(key_ids: Vec<KeyId>) -> Self {
        Self { key_ids, threshold: NonZeroU32::MIN }
    }
}

/// What a snapshot or timestamp says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// SHA-256 of the file as served.
    pub sha256: Sha256Digest,
    /// SHA-512 of it; checked too where it is listed.
    pub sha512: Option<Box<Sha512Digest>>,
    /// Length of the file in bytes.
    pub length: u64,
}

impl FileMeta {
    /// What must be said about these bytes.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        Self {
            sha256: Sha256Digest::of(file),
            sha512: Some(Box::new(Sha512Digest::of(file))),
            length: u64::try_from(file.len()).unwrap_or(u64::MAX),
        }
    }

    /// Whether these are the bytes.
    #[must_use]
    pub fn describes(&self, file: &[u8]) -> bool {
        u64::try_from(file.len()).is_ok_and(|length| length == self.length)
            && Sha256Digest::of(file) == self.sha256
            && self.sha512.as_deref().is_none_or(|sha512| Sha512Digest::of(file) == *sha512)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError> {
        let (mut hashes, mut length) = (None, None);
        reader.fields(&["hashes", "length"], |reader, field| {
            match field {
                "hashes" => hashes = Some(Hashes::read(reader)?),
                _ => length = Some(reader.unsigned("length")?),
            }
            Ok(())
        })?;
        let hashes = required(hashes, "hashes")?;
        let no_sha256 = DocumentError::Value { field: "hashes", cause: ValueError::NoSha256 };
        Ok(Self {
            sha256: hashes.sha256.ok_or(no_sha256)?,
            sha512: hashes.sha512,
            length: required(length, "length")?,
        })
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) {
        out.raw(r#"{"hashes":"#);
        write_hashes(out, Some(&self.sha256), self.sha512.as_deref());
        out.raw(r#","length":"#);
        out.integer(self.length);
        out.raw("}");
    }
}

/// The digests of one entry; algorithms that nobody here knows are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// SHA-256. Docker takes no tag without it.
    pub sha256: Option<Sha256Digest>,
    /// SHA-512, on the heap, as hardly any tag has one.
    pub sha512: Option<Box<Sha512Digest>>,
}

impl Hashes {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DocumentError> {
        let mut hashes = Self::default();
        reader.fields(&["sha256", "sha512"], |reader, field| {
            match field {
                "sha256" => hashes.sha256 = Some(Sha256Digest::from_bytes(reader.base64("sha256")?)),
                _ => hashes.sha512 = Some(Box::new(Sha512Digest::from_bytes(reader.base64("sha512")?))),
            }
            Ok(())
        })?;
        Ok(hashes)
    }

    pub(crate) fn write(&self, out: &mut Writer<'_>) {
        write_hashes(out, self.sha256.as_ref(), self.sha512.as_deref());
    }
}

fn write_hashes(out: &mut Writer<'_>, sha256: Option<&Sha256Digest>, sha512: Option<&Sha512Digest>) {
    let sha256 = sha256.map(|digest| ("\"sha256\":", digest.as_bytes().as_slice()));
    let sha512 = sha512.map(|digest| ("\"sha512\":", digest.as_bytes().as_slice()));
    out.raw("{");
    out.list(sha256.into_iter().chain(sha512), |out, (name, bytes)| {
        out.raw(name);
        out.base64(bytes);
    });
    out.raw("}");
}

/// The value of a field that must be there.
pub(crate) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, DocumentError> {
    value.ok_or(DocumentError::MissingField { field })
}

/// `_type`, which must be the document's own word.
pub(crate) fn read_type<D: Document>(reader: &mut Reader<'_>) -> Result<(), DocumentError> {
    let found = reader.string()?;
    if found == D::ROLE_TYPE {
        return Ok(());
    }
    Err(DocumentError::WrongType { expected: D::ROLE_TYPE, found: found.into_owned() })
}

/// `expires`; for signing only in the form that Go writes again.
pub(crate) fn read_expires(reader: &mut Reader<'_>) -> Result<Expires, DocumentError> {
    let bad = |cause| DocumentError::Value { field: "expires", cause };
    let expires: Expires = reader.string()?.parse().map_err(|error| bad(ValueError::Time(error)))?;
    if !reader.skips_unknown() && !expires.is_go_form() {
        return Err(bad(ValueError::TimeForm));
    }
    Ok(expires)
}

/// `version`.
pub(crate) fn read_version(reader: &mut Reader<'_>) -> Result<Version, DocumentError> {
    let number = reader.unsigned("version")?;
    Version::try_from(number)
        .map_err(|error| DocumentError::Value { field: "version", cause: ValueError::Id(error) })
}

/// A list of key ids, each once. Go writes an empty one as `null`.
pub(crate) fn read_key_ids(reader: &mut Reader<'_>) -> Result<Vec<KeyId>, DocumentError> {
    let mut key_ids = Vec::new();
    reader.array("keys of one role", limits::ROLE_KEYS, |reader| {
        key_ids.push(read_key_id(&reader.string()?, "keyids")?);
        Ok(())
    })?;
    Ok(key_ids)
}

/// One key id.
pub(crate) fn read_key_id(text: &str, field: &'static str) -> Result<KeyId, DocumentError> {
    text.parse().map_err(|error| DocumentError::Value { field, cause: ValueError::Id(error) })
}

pub(crate) fn write_key_ids(out: &mut Writer<'_>, key_ids: &[KeyId]) {
    if key_ids.is_empty() {
        return out.raw("null");
    }
    out.raw("[");
    out.list(key_ids, |out, key_id| out.plain(key_id));
    out.raw("]");
}

/// `threshold`.
pub(crate) fn read_threshold(reader: &mut Reader<'_>) -> Result<NonZeroU32, DocumentError> {
    let number = reader.unsigned("threshold")?;
    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
    number.ok_or(DocumentError::Value { field: "threshold", cause: ValueError::Number })
}

/// A map of keys, each under its own id. Keys of a kind that nobody here knows verify nothing: a reader passes over
/// them.
pub(crate) fn read_keys(reader: &mut Reader<'_>) -> Result<BTreeMap<KeyId, PublicKey>, DocumentError> {
    let mut keys = BTreeMap::new();
    reader.map("keys", limits::KEYS, |reader, name| {
        let listed = read_key_id(&name, "keys")?;
        if let Some(key) = read_key(reader)? {
            if key.id() != listed {
                return Err(DocumentError::KeyIdMismatch { listed, actual: key.id() });
            }
            keys.insert(listed, key);
        }
        Ok(())
    })?;
    Ok(keys)
}

fn read_key(reader: &mut Reader<'_>) -> Result<Option<PublicKey>, DocumentError> {
    let (mut key_type, mut public) = (None, None);
    reader.fields(&["keytype", "keyval"], |reader, field| {
        match field {
            "keytype" => key_type = Some(reader.string()?.into_owned()),
            _ => public = Some(read_key_value(reader)?),
        }
        Ok(())
    })?;
    let word = required(key_type, "keytype")?;
    let public = required(public, "keyval")?;
    match KeyType::from_word(&word) {
        Some(key_type) => Ok(Some(PublicKey::new(key_type, &public))),
        None if reader.skips_unknown() => Ok(None),
        None => Err(DocumentError::Value { field: "keytype", cause: ValueError::Unknown(word) }),
    }
}

fn read_key_value(reader: &mut Reader<'_>) -> Result<Vec<u8>, DocumentError> {
    let mut public = None;
    reader.fields(&["private", "public"], |reader, field| {
        match field {
            "public" => public = Some(reader.bytes("public", limits::KEY_BYTES)?),
            _ if reader.null() => {}
            _ => return Err(DocumentError::Value { field: "private", cause: ValueError::NotNull }),
        }
        Ok(())
    })?;
    required(public, "public")
}

pub(crate) fn write_keys(out: &mut Writer<'_>, keys: &BTreeMap<KeyId, PublicKey>) {
    out.raw("{");
    out.list(keys, |out, (key_id, key)| {
        out.plain(key_id);
        out.raw(r#":{"keytype":"#);
        out.plain(&key.key_type().as_str());
        out.raw(r#","keyval":{"private":null,"public":"#);
        out.base64(key.public());
        out.raw("}}");
    });
    out.raw("}");
}

/// Checks that a role lists no key twice. In what is to be signed, every key must be described too.
pub(crate) fn check_keys(
    role: &RoleName,
    key_ids: &[KeyId],
    keys: &BTreeMap<KeyId, PublicKey>,
    described: bool,
) -> Result<(), DocumentError> {
    for (index, key_id) in key_ids.iter().enumerate() {
        if key_ids.iter().take(index).any(|earlier| earlier == key_id) {
            return Err(DocumentError::DuplicateKeyId { role: role.clone(), key_id: *key_id });
        }
        if described && !keys.contains_key(key_id) {
            return Err(DocumentError::UnknownKey { role: role.clone(), key_id: *key_id });
        }
    }
    Ok(())
}
