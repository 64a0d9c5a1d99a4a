//! A bare `C_Sign` loop: one session, logged in once, the key looked up once, nothing else. SoftHSM reads its
//! configuration from the environment, so the loop runs in this program started again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use hsm_tests::softhsm::SoftHsm;
use sha2::{Digest as _, Sha256};

/// The argument that makes this program the loop.
pub(crate) const CHILD: &str = "--c-sign";

/// The loop, waiting for its turn.
pub(crate) struct CSign {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl CSign {
    /// On the first token of this SoftHSM, with the first private key there that may sign (another one opens the vault).
    pub(crate) fn start(softhsm_conf: &Path, pin: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(CHILD).arg(pin).env("SOFTHSM2_CONF", softhsm_conf);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Signatures in a second.
    pub(crate) fn rate(&mut self, span: Duration) -> f64 {
        writeln!(self.child.stdin.as_mut().unwrap(), "{}", span.as_secs_f64()).unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().parse().expect("the loop has failed")
    }
}

impl Drop for CSign {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // ends its loop
        self.child.wait().ok();
    }
}

/// What the child does: a number of seconds on a line of stdin, a rate on a line of stdout.
pub(crate) fn child(pin: &Path) {
    let pkcs11 = Pkcs11::new(SoftHsm::module()).unwrap();
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
    let session = pkcs11.open_ro_session(slot).unwrap();
    let pin = AuthPin::new(std::fs::read_to_string(pin).unwrap().trim().into());
    session.login(UserType::User, Some(&pin)).unwrap();
    let keys =
        session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Sign(true)]).unwrap();
    let key = *keys.first().expect("a private key that signs");
    let mut digest = [0; 32];
    for line in std::io::stdin().lines() {
        let span = Duration::from_secs_f64(line.unwrap().trim().parse().unwrap());
        let (start, mut signatures) = (Instant::now(), 0_u32);
        while start.elapsed() < span {
            let signature = session.sign(&Mechanism::Ecdsa, key, &digest).unwrap();
            digest = Sha256::digest(signature).into();
            signatures += 1;
        }
        println!("{}", f64::from(signatures) / start.elapsed().as_secs_f64());
    }
}
