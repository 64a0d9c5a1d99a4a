//! What is said before anything is signed: what changes, as a ceremony says it, and which tokens sign.
use std::sync::Arc;

use touchmark_proto::v1;
use touchmark_tuf::{CheckSignature, Document as _, KeyId, PublicKey, Root, shown};

use crate::ceremony::item::Item;
use crate::ceremony::plan::{Also, Occasion, Plan, Repository, RootKey};
use crate::ceremony::words;
use crate::checked::Checked;
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::publish::root::{Standing, needs_targets};

/// Lines for people.
#[derive(Debug)]
pub(super) struct Preview {
    pub(super) lines: Vec<String>,
}

impl Preview {
    /// Of a root that these keys are to sign. Its documents pass the checks of a ceremony.
    pub(super) fn of(
        ctx: &Ctx,
        daemon: &Daemon,
        standing: &Standing,
        root: &Root,
        with: &[KeyId],
    ) -> Result<Self, Error> {
        let tokens = &daemon.status().tokens;
        let view = standing.view.as_ref();
        let also = if needs_targets(view, root) { Also::Targets } else { Also::Nothing };
        let Some(view) = view else { return Ok(Self { lines: Vec::new() }) };
        let plan = Plan {
            title: String::new(),
            occasion: Occasion::Earnest,
            made: ctx.now,
            good_until: ctx.now,
            tool: String::new(),
            keys: standing.keys.iter().filter_map(|key| described(key, tokens)).collect(),
            repositories: vec![Repository {
                gun: view.trusted.gun().clone(),
                server: view.server.to_string(),
                roots: vec![view.trusted.root().file().to_vec()],
                root: root.write(),
                also,
            }],
        };
        let checker: Arc<dyn CheckSignature + Send + Sync> = Arc::<Checked>::clone(&ctx.checked);
        let mut lines = Vec::new();
        for repository in &plan.repositories {
            lines.extend(words::changes(&plan, &Item::check(repository, plan.occasion, &checker)?));
        }
        for key in with {
            let id = key.to_string();
            let held = standing.keys.iter().find(|held| held.id == id);
            let token = held.map(|held| held.token.as_str()).unwrap_or_default();
            lines.push(format!(
                "touchmarkd signs with {}{}",
                words::name(&plan, key),
                token_in_words(token, tokens)
            ));
        }
        Ok(Self { lines })
    }
}

fn token_in_words(name: &str, tokens: &[v1::Token]) -> String {
    let Some(token) = tokens.iter().find(|token| token.name == name) else { return String::new() };
    let serial =
        if token.serial.is_empty() { String::new() } else { format!(", serial {}", shown(&token.serial)) };
    let absent = match token.presence() {
        v1::TokenPresence::Present | v1::TokenPresence::Opening => "",
        _ => ", which is not there yet",
    };
    format!(" on the token {}{serial}{absent}", shown(name))
}

fn described(key: &v1::Key, tokens: &[v1::Token]) -> Option<RootKey> {
    if key.role() != v1::Role::Root {
        return None;
    }
    let token = tokens.iter().find(|token| token.name == key.token);
    let of = |field: fn(&v1::Token) -> &String| token.map(field).cloned().unwrap_or_default();
    Some(RootKey {
        public: PublicKey::from_spki(&key.public_key).ok()?,
        label: if key.label.is_empty() { key.token.clone() } else { key.label.clone() },
        token_kind: of(|token| &token.kind),
        serial: key.serial.clone(),
        firmware: of(|token| &token.firmware),
        touch_policy: key.touch_policy.clone(),
        pin_policy: key.pin_policy.clone(),
        attestation: Vec::new(),
    })
}
