//! What callers are shown: tokens, keys, the vault. Callers see their own repositories only.

use std::sync::Arc;

use touchmark_proto::v1;
use touchmark_tuf::{Gun, RootCertificate};

use crate::app::{App, TokenSlot};
use crate::policy::Caller;
use crate::sign::seat::Seat;
use crate::store::keys::{KeyRecord, Origin, Place};
use crate::store::{StoreError, View};
use crate::token::{PinState, Presence};
use crate::vault::KeyRole;

/// A key with the certificates issued for it.
pub(super) struct Listed {
    record: KeyRecord,
    certificates: Vec<(Gun, RootCertificate)>,
}

/// All keys, with their certificates.
pub(super) fn listed(view: &View<'_>) -> Result<Vec<Listed>, StoreError> {
    let with = |record: KeyRecord| {
        let certificates = view.certificates(&record.id)?;
        Ok(Listed { record, certificates })
    };
    view.keys()?.into_iter().map(with).collect()
}

impl App {
    /// The keys that the caller may see.
    pub(super) async fn keys_for(&self, caller: &Caller) -> Result<Vec<v1::Key>, StoreError> {
        let all = self.store().read(listed).await?;
        Ok(all.into_iter().filter_map(|key| self.key_for(caller, &key)).collect())
    }

    fn key_for(&self, caller: &Caller, key: &Listed) -> Option<v1::Key> {
        let sees = |gun: &&Gun| self.policy().sees(caller, gun);
        let guns: Vec<&Gun> = key.record.guns.iter().filter(sees).collect();
        if guns.is_empty() && key.record.role != KeyRole::Root {
            return None;
        }
        let mut shown = key_message(&key.record)?;
        shown.repositories = guns.into_iter().map(ToString::to_string).collect();
        (shown.touch_policy, shown.pin_policy) = self.policy_words(&key.record.place);
        shown.certificates = key
            .certificates
            .iter()
            .filter(|(gun, _)| sees(&gun))
            .map(|(gun, certificate)| certificate_message(gun, certificate))
            .collect();
        Some(shown)
    }

    /// What a key asks of a person, as its token said last: touch and PIN. Empty where it has not said.
    pub(super) fn policy_words(&self, place: &Place) -> (String, String) {
        let Place::Token { token, key, .. } = place else { return Default::default() };
        let known = self.token(token).ok().and_then(|slot| slot.handle.known_policy(key));
        known.map(|policy| (policy.touch.to_string(), policy.pin.to_string())).unwrap_or_default()
    }

    /// The configured tokens, each with the keys on it that the caller may see.
    pub(super) async fn tokens_for(&self, caller: &Caller) -> Result<Vec<v1::Token>, StoreError> {
        let keys = self.keys_for(caller).await?;
        let with_keys = |slot: &Arc<TokenSlot>| {
            let mut token = token_message(slot);
            let seat = self.road().seat(&token.name);
            token.waiting_for = seat.as_ref().ok().and_then(|seat| seat.intent()).unwrap_or_default();
            token.touch_deadline_unix_ms = seat.ok().and_then(Seat::touch_until).unwrap_or_default();
            token.keys = keys.iter().filter(|key| key.token == token.name).cloned().collect();
            token
        };
        Ok(self.tokens().map(with_keys).collect())
    }

    /// The vault.
    pub(super) async fn vault_message(&self) -> Result<v1::VaultStatus, StoreError> {
        let (ways, keys) =
            self.store().read(|view| Ok::<_, StoreError>((view.ways()?, view.keys()?))).await?;
        let report = self.vault().report();
        let state = match (ways.is_empty(), self.vault().is_open()) {
            (true, false) => v1::VaultState::None,
            (false, false) => v1::VaultState::Locked,
            (_, true) => v1::VaultState::Open,
        };
        let in_vault =
            |key: &&KeyRecord| matches!(key.place, Place::Vault { .. }) && key.role != KeyRole::Audit;
        Ok(v1::VaultStatus {
            state: state.into(),
            ways: ways
                .into_iter()
                .map(|way| {
                    let (token, serial) =
                        way.token.map(|token| (token.name, token.serial)).unwrap_or_default();
                    v1::VaultWay { token, serial, method: way.way.method().to_owned() }
                })
                .collect(),
            keys: u32::try_from(keys.iter().filter(in_vault).count()).unwrap_or(u32::MAX),
            locked_bytes: u64::try_from(report.locked_bytes).unwrap_or(u64::MAX),
            locked_limit: u64::try_from(report.limit).unwrap_or(u64::MAX),
            memory: report.kind.as_str().to_owned(),
            open_until_unix: self.open_until_unix(),
        })
    }
}

/// A key's record as a message, without repositories and certificates. `None`: not for callers.
pub(super) fn key_message(record: &KeyRecord) -> Option<v1::Key> {
    let (role, delegation) = match &record.role {
        KeyRole::Root => (v1::Role::Root, String::new()),
        KeyRole::Targets => (v1::Role::Targets, String::new()),
        KeyRole::Snapshot => (v1::Role::Snapshot, String::new()),
        KeyRole::Delegation(name) => (v1::Role::Delegation, name.short().to_owned()),
        KeyRole::Audit => return None,
    };
    let (token, serial, label) = match &record.place {
        Place::Vault { .. } => Default::default(),
        Place::Token { token, serial, label, .. } => (token.clone(), serial.clone(), label.clone()),
    };
    Some(v1::Key {
        id: record.id.to_string(),
        role: role.into(),
        repositories: record.guns.iter().map(ToString::to_string).collect(),
        public_key: record.public.spki().map(|spki| spki.to_vec()).unwrap_or_default(),
        token,
        serial,
        label,
        created_unix: record.created.unix(),
        last_used_unix: record.last_used.map_or(0, |time| time.unix()),
        origin: match record.origin {
            Origin::Generated => "generated",
            Origin::Imported => "imported",
            Origin::Found => "found",
        }
        .to_owned(),
        delegation,
        touch_policy: String::new(),
        pin_policy: String::new(),
        certificates: Vec::new(),
    })
}

/// A root certificate as a message.
pub(super) fn certificate_message(gun: &Gun, certificate: &RootCertificate) -> v1::RootCertificate {
    v1::RootCertificate {
        repository: gun.to_string(),
        key_id: certificate.public_key().id().to_string(),
        pem: certificate.pem().to_owned(),
        not_after_unix: certificate.not_after().unix(),
    }
}

/// A token as it is known now, without its keys.
pub(super) fn token_message(slot: &TokenSlot) -> v1::Token {
    let state = slot.handle.state();
    let (presence, detail) = match state.presence {
        Presence::Opening => (v1::TokenPresence::Opening, String::new()),
        Presence::Present => (v1::TokenPresence::Present, String::new()),
        Presence::Absent => (v1::TokenPresence::Absent, "not plugged in".to_owned()),
        Presence::Mismatch(why) => (v1::TokenPresence::Mismatch, why),
        Presence::Failed(why) => (v1::TokenPresence::Failed, why),
    };
    let pin_state = match state.pin {
        PinState::Unknown => "",
        PinState::Ok => "ok",
        PinState::Low => "low",
        PinState::Final => "final",
        PinState::Locked => "locked",
        PinState::NotSet => "not-set",
    };
    let info = state.info;
    let text =
        |get: fn(&crate::token::TokenInfo) -> &String| info.as_ref().map(get).cloned().unwrap_or_default();
    v1::Token {
        name: slot.entry.name.clone(),
        kind: slot.entry.kind.word().to_owned(),
        presence: presence.into(),
        serial: text(|info| &info.serial),
        label: text(|info| &info.label),
        manufacturer: text(|info| &info.manufacturer),
        model: text(|info| &info.model),
        firmware: text(|info| &info.firmware),
        tries_left: state.tries_left.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1),
        pin_state: pin_state.to_owned(),
        logged_in: state.logged_in,
        detail,
        keys: Vec::new(),
        waiting_for: String::new(),
        touch_deadline_unix_ms: 0,
        factory_values: state
            .factory
            .unwrap_or_default()
            .into_iter()
            .map(|one| one.word().to_owned())
            .collect(),
    }
}
