//! A sealed copy of the vault: its ways and its sealed keys. It opens with the vault's own tokens and passphrases
//! only. See `docs/formats.md`, "Vault backups".

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use touchmark_tuf::{Instant, PublicKey};

use super::UnlockError;
use crate::app::App;
use crate::audit::Event;
use crate::store::keys::{KeyRecord, Origin, Place};
use crate::store::ways::{WayRecord, WayToken};
use crate::store::{StoreError, Tx};
use crate::token::KeyRef;
use crate::vault::{KeyRole, Sealed, Way};

/// The longest backup that is read, in bytes: enough for ten thousand keys.
pub(crate) const MAX: u64 = 16 * 1024 * 1024;
const FORMAT: &str = "touchmark vault backup v1";

/// What a backup holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Backup {
    pub(crate) ways: Vec<WayRecord>,
    pub(crate) keys: Vec<KeyRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    ways: Vec<WayEntry>,
    keys: Vec<KeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WayEntry {
    token: Option<TokenEntry>,
    way: String,
    created: i64,
}

/// Where a key is on a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    serial: String,
    id: String,
    public: String,
    label: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    role: String,
    guns: Vec<String>,
    public: String,
    sealed: Option<String>,
    token: Option<TokenEntry>,
    created: i64,
    origin: String,
}

impl App {
    /// The copy, as a file's bytes.
    pub(crate) async fn backup(&self, uid: u32) -> Result<Vec<u8>, UnlockError> {
        let (ways, keys) =
            self.store().read(|view| Ok::<_, StoreError>((view.ways()?, view.keys()?))).await?;
        if ways.is_empty() {
            return Err(UnlockError::NoVault);
        }
        let bytes = Backup { ways, keys }.write()?;
        self.record(Event::VaultBackedUp { uid }).await?;
        Ok(bytes)
    }

    /// Takes a copy in, where there is no vault yet. It is closed afterwards.
    pub(crate) async fn restore(self: &Arc<Self>, bytes: &[u8], uid: u32) -> Result<(), UnlockError> {
        let Backup { ways, keys } = Backup::read(bytes)?;
        let job = move |tx: &Tx<'_>| {
            if tx.way_count()? > 0 {
                return Err(UnlockError::VaultExists);
            }
            for way in &ways {
                tx.put_way(way)?;
            }
            for key in &keys {
                tx.insert_key(key)?;
            }
            tx.append(&Event::VaultRestored { uid, keys: keys.len() })?;
            Ok(())
        };
        self.store().write(job).await
    }
}

impl Backup {
    /// Reads a file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, UnlockError> {
        let file: File =
            serde_json::from_slice(bytes).map_err(|error| UnlockError::Backup(error.to_string()))?;
        if file.format != FORMAT {
            return Err(UnlockError::Backup(format!("it is no \"{FORMAT}\"")));
        }
        let ways = file.ways.into_iter().map(way_record).collect::<Result<Vec<_>, _>>()?;
        let keys = file.keys.into_iter().map(key_record).collect::<Result<Vec<_>, _>>()?;
        if ways.is_empty() {
            return Err(UnlockError::Backup("it has no way to open the vault".to_owned()));
        }
        Ok(Self { ways, keys })
    }

    /// The file's bytes.
    pub(crate) fn write(&self) -> Result<Vec<u8>, UnlockError> {
        let file = File {
            format: FORMAT.to_owned(),
            ways: self.ways.iter().map(way_entry).collect::<Result<_, _>>()?,
            keys: self.keys.iter().map(key_entry).collect::<Result<_, _>>()?,
        };
        serde_json::to_vec_pretty(&file).map_err(|error| UnlockError::Backup(error.to_string()))
    }
}

fn way_entry(record: &WayRecord) -> Result<WayEntry, UnlockError> {
    let token = record.token.as_ref().map(|token| token_entry(&token.name, &token.serial, &token.key, ""));
    Ok(WayEntry {
        token: token.transpose()?,
        way: STANDARD.encode(record.way.to_bytes()),
        created: record.created.unix(),
    })
}

fn key_entry(record: &KeyRecord) -> Result<KeyEntry, UnlockError> {
    let (sealed, token) = match &record.place {
        Place::Vault { sealed } => (Some(STANDARD.encode(sealed.to_bytes())), None),
        Place::Token { token, serial, key, label } => (None, Some(token_entry(token, serial, key, label)?)),
    };
    Ok(KeyEntry {
        role: record.role.to_string(),
        guns: record.guns.iter().map(ToString::to_string).collect(),
        public: public_text(&record.public)?,
        sealed,
        token,
        created: record.created.unix(),
        origin: match record.origin {
            Origin::Generated => "generated",
            Origin::Imported => "imported",
            Origin::Found => "found",
        }
        .to_owned(),
    })
}

fn token_entry(name: &str, serial: &str, key: &KeyRef, label: &str) -> Result<TokenEntry, UnlockError> {
    Ok(TokenEntry {
        name: name.to_owned(),
        serial: serial.to_owned(),
        id: STANDARD.encode(&key.id),
        public: public_text(&key.public)?,
        label: label.to_owned(),
    })
}

fn way_record(entry: WayEntry) -> Result<WayRecord, UnlockError> {
    let way = Way::from_bytes(&bytes(&entry.way)?).map_err(|error| UnlockError::Backup(error.to_string()))?;
    let token = entry.token.map(|token| {
        let key = key_ref(&token)?;
        Ok::<_, UnlockError>(WayToken { name: token.name, serial: token.serial, key })
    });
    Ok(WayRecord { token: token.transpose()?, way, created: Instant::from_unix(entry.created) })
}

fn key_record(entry: KeyEntry) -> Result<KeyRecord, UnlockError> {
    let wrong = |what: &str| UnlockError::Backup(format!("a key's {what} cannot be read"));
    let public = public_key(&entry.public)?;
    let place = match (entry.sealed, entry.token) {
        (Some(sealed), None) => {
            let sealed = Sealed::from_bytes(&bytes(&sealed)?)
                .map_err(|error| UnlockError::Backup(error.to_string()))?;
            Place::Vault { sealed }
        }
        (None, Some(token)) => {
            let key = key_ref(&token)?;
            Place::Token { token: token.name, serial: token.serial, key, label: token.label }
        }
        _ => return Err(wrong("place")),
    };
    Ok(KeyRecord {
        id: public.canonical_id(),
        role: role(&entry.role).ok_or_else(|| wrong("role"))?,
        guns: entry
            .guns
            .iter()
            .map(|gun| gun.parse().map_err(|_| wrong("repository")))
            .collect::<Result<_, _>>()?,
        public,
        place,
        created: Instant::from_unix(entry.created),
        last_used: None,
        origin: match entry.origin.as_str() {
            "generated" => Origin::Generated,
            "imported" => Origin::Imported,
            "found" => Origin::Found,
            _ => return Err(wrong("origin")),
        },
    })
}

fn role(word: &str) -> Option<KeyRole> {
    Some(match word {
        "root" => KeyRole::Root,
        "targets" => KeyRole::Targets,
        "snapshot" => KeyRole::Snapshot,
        "audit" => KeyRole::Audit,
        name => KeyRole::Delegation(name.parse().ok()?),
    })
}

fn key_ref(token: &TokenEntry) -> Result<KeyRef, UnlockError> {
    Ok(KeyRef { id: bytes(&token.id)?, public: public_key(&token.public)? })
}

fn public_text(public: &PublicKey) -> Result<String, UnlockError> {
    let spki = public.spki().map_err(|error| UnlockError::Backup(error.to_string()))?;
    Ok(STANDARD.encode(spki))
}

fn public_key(text: &str) -> Result<PublicKey, UnlockError> {
    PublicKey::from_spki(&bytes(text)?).map_err(|error| UnlockError::Backup(error.to_string()))
}

fn bytes(text: &str) -> Result<Vec<u8>, UnlockError> {
    STANDARD.decode(text).map_err(|error| UnlockError::Backup(error.to_string()))
}
