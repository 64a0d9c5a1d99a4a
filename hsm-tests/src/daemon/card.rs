//! A daemon that has the PIN of its YubiKey, so that nobody is needed.

use super::Daemon;
use crate::config;
use crate::pcscd::Pcscd;
use crate::place::Place;

/// Where a daemon has its PIN from.
#[derive(Clone, Copy, Debug)]
pub enum PinFrom {
    /// A file that its configuration names.
    File,
    /// A credential of its service manager.
    Credential,
}

/// A daemon that knows one YubiKey, "5c", and has a PIN for it; and the folder with that PIN.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn with_card(pcscd: &Pcscd, serial: u32, from: PinFrom, pin: &str) -> (Daemon, Place) {
    let place = Place::new();
    let file = place.join("pin");
    std::fs::write(&file, format!("{pin}\n")).expect("a PIN");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a PIN");
    let pin = match from {
        PinFrom::File => format!("file:{}", file.display()),
        PinFrom::Credential => "credential:pin".to_owned(),
    };
    let mut environment = pcscd.environment();
    environment.insert("CREDENTIALS_DIRECTORY".to_owned(), place.path().display().to_string());
    let daemon = Daemon::in_environment(&environment, |folder, socket| {
        let token = format!("allow-pin-file = true\n{}pin = {pin:?}\n", config::yubikey("5c", serial));
        config::places(folder, socket) + &token + &config::allow(config::EVERYTHING)
    });
    (daemon, place)
}
