//! What the holder of a root key hands over before a plan is made.
use touchmark::ceremony::item::REHEARSAL;
use touchmark::ceremony::keyholder::KeyFile;
use touchmark::ceremony::plan::Occasion;
use touchmark_tuf::RootCertificate;

use super::form::Kind;
use super::{changed, made};

/// A root key file that is read is written again to the byte, and each certificate in it is the key's, for the repository
/// beside it.
pub(super) fn file(bytes: &[u8]) -> Option<KeyFile> {
    let file = KeyFile::parse(bytes).ok()?;
    assert_eq!(file.write(), bytes);
    let key = file.key.public.canonical_id();
    for (gun, listed) in &file.certificates {
        let certificate = RootCertificate::from_pem(listed.public()).expect("a certificate");
        assert!(certificate.matches(gun) && listed.canonical_id() == key);
        assert_eq!(gun.as_str().starts_with(REHEARSAL), file.occasion == Occasion::Rehearsal);
        assert_eq!(file.certificate(gun).ok(), Some(listed));
    }
    Some(file)
}

/// The content of one, put into a file with the right digest: so the fuzzer gets behind that.
pub(super) fn content(bytes: &[u8]) {
    let Some(written) = made(Kind::RootKey, bytes) else { return };
    if file(written.as_bytes()).is_some() {
        assert!(file(&changed(written.as_bytes())).is_none(), "a root key file that was changed");
    }
}
