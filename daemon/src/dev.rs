//! `run --dev DIR`: a whole daemon under one folder, with a SoftHSM token whose PIN lies beside it. For trying out:
//! the state says for ever that its keys protect nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::{App, StartError};
use crate::audit::{Event, RequestId};
use crate::config::{Allow, Config, Locking, OnSleep, PinSource, TokenEntry};
use crate::policy::{Action, Caller, Glob, Grant, MaxExpiry, Who};
use crate::rpc::call::Call;
use crate::rpc::desk::Desk;
use crate::store::keys::Origin;
use crate::token::{PinState, Presence, TokenKind};
use crate::unlock::UnlockError;
use crate::vault::{KeyRole, SecretBuf};

/// What people call the token of a dev daemon.
const TOKEN: &str = "dev";
const LABEL: &str = "touchmark-dev";
const ROOT_LABEL: &str = "touchmark dev root";
/// Digits of a generated PIN.
const PIN_DIGITS: usize = 16;
/// Where distributions put SoftHSM.
const MODULES: [&str; 7] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// Why there is no dev daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// SoftHSM is not installed.
    #[error("no SoftHSM here (libsofthsm2.so); type: apt install softhsm2")]
    NoSoftHsm,
    /// The folder is somebody else's.
    #[error("{} belongs to uid {owner}; use a folder of your own", .path.display())]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The socket's path would be too long.
    #[error("{} is too long for a socket's path (at most 107 bytes); use a shorter folder", .0.display())]
    TooLong(PathBuf),
    /// A file or folder cannot be made.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Makes the folder with all that a dev daemon needs beside its state, and its configuration.
///
/// # Errors
/// [`DevError`], each with what to type or to change.
pub fn prepare(folder: &Path, own_uid: u32) -> Result<Config, DevError> {
    let module = MODULES.iter().map(PathBuf::from).find(|path| path.exists()).ok_or(DevError::NoSoftHsm)?;
    let folder = own(folder, own_uid)?;
    let socket = folder.join("touchmarkd.sock");
    if socket.as_os_str().len() > touchmark_proto::socket::PATH_MAX {
        return Err(DevError::TooLong(socket));
    }
    let tokens = own(&folder.join("tokens"), own_uid)?;
    let hsm_config = folder.join("softhsm2.conf");
    let text = format!(
        "# Made by touchmarkd run --dev\ndirectories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&hsm_config, text).map_err(|source| DevError::Io { path: hsm_config.clone(), source })?;
    let everything = Glob::parse("**").ok().into_iter().collect();
    let actions: BTreeSet<Action> = Action::ALL.into_iter().collect();
    let grant = Grant { who: Who::User(own_uid), repositories: everything, tags: None, actions };
    Ok(Config {
        file: None,
        socket,
        socket_group: None,
        state: folder.join("state"),
        locking: Locking { idle: None, at_most: None, on_sleep: OnSleep::Stay },
        max_expiry: MaxExpiry::default(),
        tokens: vec![TokenEntry {
            name: TOKEN.to_owned(),
            kind: TokenKind::Pkcs11 { module, label: LABEL.to_owned(), serial: None },
            env: BTreeMap::from([("SOFTHSM2_CONF".to_owned(), hsm_config.display().to_string())]),
            pin: PinSource::File(folder.join("pin")),
        }],
        allow: vec![Allow { name: format!("uid {own_uid}"), grant }],
    })
}

/// Makes token, vault and root key on the first start, and opens the vault on each.
///
/// # Errors
/// [`StartError::Dev`] says which step failed.
pub async fn open(app: &Arc<App>) -> Result<(), StartError> {
    let failed = |step: &'static str| move |error: UnlockError| StartError::Dev(format!("{step}: {error}"));
    let uid = app.own_uid();
    let id = RequestId::random().map_err(|error| StartError::Dev(error.to_string()))?;
    let call = Call { caller: Caller { uid, gid: uid, groups: Vec::new(), name: None }, id };
    let desk = Desk::nobody(app, call);
    init_token(app).await?;
    let made = app.store().read(|view| view.way_count()).await? > 0;
    if made {
        app.unlock(None, &desk).await.map_err(failed("the dev vault cannot be opened"))?;
    } else {
        app.make_vault(Some(TOKEN), &desk).await.map_err(failed("the dev vault cannot be made"))?;
    }
    if app.store().read(|view| view.key_for(&KeyRole::Root)).await?.is_none() {
        root_key(app, &desk).await.map_err(failed("the dev root key cannot be made"))?;
    }
    Ok(())
}

async fn root_key(app: &Arc<App>, desk: &Desk) -> Result<(), UnlockError> {
    app.login(TOKEN, desk, "make the dev root key").await?;
    let handle = &app.token(TOKEN)?.handle;
    let made = handle.generate_root(ROOT_LABEL).await;
    let made = made.map_err(|error| UnlockError::Token { name: TOKEN.to_owned(), error })?;
    app.keep_token_key(TOKEN, made, Origin::Generated, app.own_uid()).await.map(|_| ())
}

/// A new token gets new PINs; one that is there keeps its own.
async fn init_token(app: &Arc<App>) -> Result<(), StartError> {
    let slot = app.token(TOKEN).map_err(|error| StartError::Dev(error.to_string()))?;
    let state = slot.handle.refresh().await;
    match state.presence {
        // A crash in the middle of a login left open what the token knows: SoftHSM says so where it refused a PIN.
        Presence::Present if state.pin == PinState::Ok => {
            let serial = state.info.map(|info| info.serial).unwrap_or_default();
            return Ok(app.store().write(move |tx| tx.pin_accepted(&serial, None)).await?);
        }
        Presence::Present => return Ok(()),
        Presence::Absent | Presence::Opening => {}
        Presence::Mismatch(why) | Presence::Failed(why) => {
            return Err(StartError::Dev(format!("the SoftHSM token cannot be used: {why}")));
        }
    }
    let PinSource::File(path) = &slot.entry.pin else { return Ok(()) };
    let (pin, so_pin) = (new_pin(app)?, new_pin(app)?);
    let io = |path: &Path, source| StartError::Dev(format!("{}: {source}", path.display()));
    keep_pin(path, &pin).map_err(|error| io(path, error))?;
    let so_path = path.with_file_name("so-pin");
    keep_pin(&so_path, &so_pin).map_err(|error| io(&so_path, error))?;
    let made = slot.handle.init_token(Some(&so_pin), &pin).await;
    made.map_err(|error| StartError::Dev(format!("the SoftHSM token cannot be made: {error}")))?;
    let serial = slot.handle.refresh().await.info.map(|info| info.serial).unwrap_or_default();
    let event = Event::TokenInitialised { uid: app.own_uid(), token: TOKEN.to_owned(), serial };
    Ok(app.record(event).await?)
}

fn new_pin(app: &App) -> Result<SecretBuf, StartError> {
    let mut pin = SecretBuf::new(app.vault().memory(), PIN_DIGITS)?;
    let digits = pin.as_mut_slice();
    getrandom::fill(digits).map_err(|error| StartError::Dev(error.to_string()))?;
    for digit in digits {
        *digit = b'0' + *digit % 10;
    }
    pin.set_len(PIN_DIGITS)?;
    Ok(pin)
}

fn keep_pin(path: &Path, pin: &SecretBuf) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(pin.expose())?;
    file.sync_all()
}

/// A folder of our own that nobody else enters.
fn own(folder: &Path, own_uid: u32) -> Result<PathBuf, DevError> {
    let io = |source| DevError::Io { path: folder.to_path_buf(), source };
    fs::create_dir_all(folder).map_err(io)?;
    let real = fs::canonicalize(folder).map_err(io)?;
    let found = fs::metadata(&real).map_err(io)?;
    if found.uid() != own_uid {
        return Err(DevError::Owner { path: real, owner: found.uid() });
    }
    let mode = rustix::fs::Mode::from_raw_mode(0o700);
    rustix::fs::chmod(&real, mode).map_err(|error| io(error.into()))?;
    Ok(real)
}

#[cfg(test)]
mod tests;
