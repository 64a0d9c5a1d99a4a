//! What a YubiKey says of its keys, as transcripts and root key files carry it: whoever changes it proves nothing else.
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use touchmark::attestation::{Attested, Authorities, pem};
use touchmark_tuf::Instant;

use crate::Input;
use crate::place::with_folder;

/// Made with openssl, of keys that nobody has: somebody's own authority, slot f9, and a key in slot 9c.
const CA: &str = include_str!("sample/attestation-ca.pem");
const F9: &[u8] = include_bytes!("sample/attestation-f9.der");
const LEAF: &[u8] = include_bytes!("sample/attestation-9c.der");
/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

static SAMPLE: LazyLock<(Authorities, Attested)> = LazyLock::new(|| {
    let authorities = with_folder(|folder| read(folder, CA.as_bytes()).unwrap());
    let attested = authorities.check(&[LEAF.to_vec(), F9.to_vec()], Instant::from_unix(NOW)).unwrap();
    (authorities, attested)
});

fn read(folder: &Path, file: &[u8]) -> Option<Authorities> {
    let path = folder.join("ca.pem");
    fs::write(&path, file).unwrap();
    Authorities::read(&path).ok()
}

/// Any two certificates, the sample's with some bytes changed, or the operator's file with one of any bytes in it.
pub(super) fn attestation(input: &mut Input<'_>) {
    let (authorities, genuine) = &*SAMPLE;
    let kind = input.byte();
    let sent = match kind % 4 {
        0 => vec![input.piece().to_vec(), input.rest().to_vec()],
        1 => {
            let file = [CA, &pem::write(input.rest())].concat();
            drop(with_folder(|folder| read(folder, file.as_bytes())));
            return;
        }
        _ => vec![edited(LEAF, input), edited(F9, input)],
    };
    if let Ok(attested) = authorities.check(&sent, Instant::from_unix(NOW)) {
        assert_eq!(&attested, genuine, "something else is proved");
    }
}

fn edited(der: &[u8], input: &mut Input<'_>) -> Vec<u8> {
    let mut der = der.to_vec();
    for _ in 0..input.byte() % 8 {
        let at = usize::from(input.number()) % (der.len() + 1);
        match input.byte() % 4 {
            0 => drop(der.splice(at..at, input.piece().iter().copied())),
            1 => {
                let end = der.len().min(at + usize::from(input.byte()));
                drop(der.drain(at..end));
            }
            _ => {
                let with = input.byte();
                der.get_mut(at).into_iter().for_each(|byte| *byte = with);
            }
        }
    }
    der
}
