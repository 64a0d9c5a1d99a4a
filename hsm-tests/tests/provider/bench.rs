//! A token on the bench: what is tested with, whatever kind it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hsm_tests::cli::{Ran, shipped};
use hsm_tests::softhsm::{PIN, SO_PIN};
use touchmarkd::token::{
    HelperProgram, Limits, TokenConfig, TokenHandle, TokenKey, TokenKind, TokenState, UnwrapMethod,
};
use touchmarkd::vault::{Locked, SecretBuf};

/// The label of the token that is tested.
pub(crate) const LABEL: &str = "touchmark tests";

/// What a kind of token has to offer to be tested.
pub(crate) trait Rig {
    /// How this kind opens the vault.
    const METHOD: UnwrapMethod;
    /// Whether it takes private keys from outside.
    const TAKES_KEYS: bool;
    /// Whether it says that a wrong PIN was tried.
    const SAYS_LOW: bool;

    /// A place for tokens, with one empty slot.
    fn empty() -> Self;
    /// The description of a token by its label, and by its serial number where it has one beside.
    fn kind(&self, label: &str, serial: Option<&str>) -> TokenKind;
    fn environment(&self) -> BTreeMap<String, String>;
    /// Another program sees the key, and what it is called.
    fn is_seen_from_outside(&self, key: &TokenKey);
}

/// OpenSC's `pkcs11-tool` lists the key of [`LABEL`]'s token.
pub(crate) fn pkcs11_tool_sees(key: &TokenKey, pkcs11_tool: impl FnOnce(&[&str]) -> Ran) {
    let id: String = key.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let listed = pkcs11_tool(&["--login", "--pin", PIN, "--list-objects", "--token-label", LABEL]);
    listed.says(&key.label).says(&id).says("never extractable");
}

/// A token behind a PKCS#11 module.
pub(crate) fn pkcs11(module: PathBuf, label: &str, serial: Option<&str>) -> TokenKind {
    TokenKind::Pkcs11 { module, label: label.to_owned(), serial: serial.map(str::to_owned) }
}

/// A token that can be made to be gone and to come back.
pub(crate) trait Removable: Rig {
    fn pull_out(&self);
    fn put_back(&self);
}

/// A token and the daemon's side of it.
pub(crate) struct Bench<R> {
    pub(crate) rig: R,
    pub(crate) locked: Arc<Locked>,
    pub(crate) token: TokenHandle,
}

impl<R: Rig> Bench<R> {
    /// An empty slot.
    pub(crate) fn empty() -> Self {
        let (rig, locked) = (R::empty(), locked());
        let token = handle(&rig, LABEL, None, &locked);
        Self { rig, locked, token }
    }

    /// A token made ready by `init_token`, not logged in.
    pub(crate) async fn initialised() -> Self {
        let bench = Self::empty();
        let (so_pin, pin) = (bench.secret(SO_PIN), bench.secret(PIN));
        bench.token.init_token(Some(&so_pin), &pin).await.expect("a new token");
        bench
    }

    /// A token made ready and logged in.
    pub(crate) async fn logged_in() -> Self {
        let bench = Self::initialised().await;
        bench.token.login(&bench.secret(PIN)).await.expect("the right PIN");
        bench
    }

    /// A second handle on the same place, for a token of this description.
    pub(crate) fn another(&self, label: &str, serial: Option<&str>) -> TokenHandle {
        handle(&self.rig, label, serial, &self.locked)
    }

    pub(crate) fn secret(&self, text: &str) -> SecretBuf {
        secret(&self.locked, text.as_bytes())
    }
}

pub(crate) fn locked() -> Arc<Locked> {
    Locked::open(None, 1).expect("locked memory")
}

pub(crate) fn secret(locked: &Arc<Locked>, bytes: &[u8]) -> SecretBuf {
    let mut secret = SecretBuf::new(locked, bytes.len().max(1)).expect("locked memory");
    secret.extend_from_slice(bytes).expect("room for it");
    secret
}

/// Waits until the token's state is what `wanted` says.
pub(crate) async fn until(
    token: &TokenHandle,
    limit: Duration,
    wanted: impl FnMut(&TokenState) -> bool,
) -> TokenState {
    let mut states = token.watch();
    let found = tokio::time::timeout(limit, states.wait_for(wanted))
        .await
        .map(|state| state.map(|state| state.clone()));
    match found {
        Ok(Ok(state)) => state,
        Ok(Err(_)) => panic!("the token's keeper has ended"),
        Err(_) => panic!("after {limit:?} still {:?}", token.state()),
    }
}

fn handle<R: Rig>(rig: &R, label: &str, serial: Option<&str>, locked: &Arc<Locked>) -> TokenHandle {
    let kind = rig.kind(label, serial);
    let config = TokenConfig { name: "bench".to_owned(), kind, env: rig.environment() };
    let limits = Limits { probe: Duration::from_millis(200), ..Limits::default() };
    TokenHandle::start(config, Arc::clone(locked), HelperProgram::touchmarkd(shipped("touchmarkd")), limits)
}
