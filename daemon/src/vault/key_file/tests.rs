//! Key files of real programs (docker 28, notary 0.7, OpenSSL 3.0, ssh-keygen), each opened or refused by name.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyFileError, KeyFileHeader, PlainKey, key_file_needs_passphrase, take_plain};
use crate::vault::testing::{memory, open_vault, secret, targets_of, verifies};
use crate::vault::{Binding, KeyRole, VaultError, Wanted};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../samples/key_files/", $name)).as_slice()
    };
}

/// The passphrase of every sample but the root key's.
const PASSPHRASE: &[u8] = b"correct-horse-9";
/// Ids as docker and notary named the files; the last is the point (X, Y) of the key that OpenSSL made.
const ALICE: &str = "2b9644dd232cb86b307e4aee8ca417431047a9c54c11606730dc44fbf1eaa248";
const TARGETS: &str = "1fba11b913a5f4aa91062adc5b6309748e934c4fd741c475e38620f40e4b7899";
const ROOT: &str = "a9dc18082bb891d133b45fda2808180073c82182e4a719ed714a1039784f4da7";
const OPENSSL: &str =
    "7jD9np69r1efTsWEBLIbGuoxzgmCJhPu1TZSqb22EV9NhV7AGd9Sw0hMTXM2Q/5Y4wr326kRnuTo2pp7yTot6w==";

fn open(file: &[u8], passphrase: &[u8]) -> Result<PlainKey, VaultError> {
    let locked = memory();
    let passphrase = (!passphrase.is_empty()).then(|| secret(&locked, passphrase));
    take_plain(&locked, &secret(&locked, file), passphrase.as_ref())
}

fn refusal(file: &[u8], passphrase: &[u8]) -> KeyFileError {
    match open(file, passphrase).unwrap_err() {
        VaultError::KeyFile(error) => error,
        other => panic!("{other}"),
    }
}

fn header(encrypted: bool, role: Option<&str>, gun: Option<&str>) -> KeyFileHeader {
    KeyFileHeader { encrypted, role: role.map(str::to_owned), gun: gun.map(str::to_owned) }
}

#[test]
fn files_of_docker_and_notary_give_the_key_they_are_named_after() {
    let cases: [(&[u8], &[u8], &str, KeyFileHeader); 3] = [
        (file!("docker-signer-alice.key"), PASSPHRASE, ALICE, header(true, Some("alice"), None)),
        (
            file!("notary-targets.key"),
            PASSPHRASE,
            TARGETS,
            header(true, Some("targets"), Some("localhost:5000/ntry/a")),
        ),
        (file!("notary-root.key"), b"root-horse-9", ROOT, header(true, Some("root"), None)),
    ];
    for (file, passphrase, id, header) in cases {
        let key = open(file, passphrase).unwrap();
        assert_eq!((key.public.id().to_string().as_str(), &key.header), (id, &header));
        assert_eq!(key.scalar.len(), 32);
    }
}

#[test]
fn every_form_of_one_key_gives_that_key() {
    let cases: [(&[u8], &[u8]); 6] = [
        (file!("pkcs8.pem"), b""),
        (file!("sec1.pem"), b""),
        (file!("sec1-with-parameters.pem"), b""),
        (file!("pbes2-sha256.pem"), PASSPHRASE),
        (file!("pbes2-100000-rounds.pem"), PASSPHRASE),
        (file!("legacy-2015-targets.key"), PASSPHRASE),
    ];
    for (number, (file, passphrase)) in cases.into_iter().enumerate() {
        let key = open(file, passphrase).unwrap();
        let point = &key.public.p256_point().unwrap()[1..];
        assert_eq!(STANDARD.encode(point), OPENSSL, "case {number}");
    }
}

#[test]
fn file_of_2015_has_its_headers_in_any_order() {
    let locked = memory();
    let found = key_file_needs_passphrase(&secret(&locked, file!("legacy-2015-targets.key"))).unwrap();
    assert_eq!(found, header(true, Some("targets"), Some("docker.io/library/old")));
    let found = key_file_needs_passphrase(&secret(&locked, file!("sec1.pem"))).unwrap();
    assert_eq!(found, header(false, None, None));
}

#[test]
fn carriage_returns_and_text_around_are_passed_over() {
    let text = String::from_utf8(file!("notary-targets.key").to_vec()).unwrap();
    let text = format!("Bag Attributes\r\n    a: b\r\n{}trailer\r\n", text.replace('\n', "\r\n"));
    assert_eq!(open(text.as_bytes(), PASSPHRASE).unwrap().public.id().to_string(), TARGETS);
}

#[test]
fn passphrases_are_asked_for_and_checked() {
    for file in [file!("notary-targets.key"), file!("legacy-2015-targets.key"), file!("pbes2-sha256.pem")] {
        assert_eq!(refusal(file, b""), KeyFileError::PassphraseNeeded);
        assert_eq!(refusal(file, b"wrong"), KeyFileError::WrongPassphrase);
    }
    // These two open to rubbish with right padding, as one in 256 does: the answer is the same.
    assert_eq!(refusal(file!("notary-targets.key"), b"wrong-550"), KeyFileError::WrongPassphrase);
    assert_eq!(refusal(file!("legacy-2015-targets.key"), b"wrong-199"), KeyFileError::WrongPassphrase);
}

#[test]
fn unread_forms_are_named_with_a_way_out() {
    let cases: [(&[u8], &str, &str); 6] = [
        (file!("scrypt.pem"), "scrypt", "openssl pkcs8 -topk8"),
        (file!("pbes2-aes128.pem"), "AES-128-CBC", "openssl pkcs8 -topk8"),
        (file!("pbes2-sha512.pem"), "1.2.840.113549.2.11", "openssl pkcs8 -topk8"),
        (file!("legacy-aes128.pem"), "AES-128-CBC", "openssl ec -aes256"),
        (file!("openssh.pem"), "OpenSSH's own format", "ssh-keygen -p -m PKCS8"),
        (file!("rsa-pkcs1.pem"), "an RSA key", "only P-256"),
    ];
    for (file, form, way_out) in cases {
        let refused = refusal(file, PASSPHRASE);
        let KeyFileError::Unsupported { what, convert } = refused else { panic!("{form}: {refused}") };
        assert!(what.contains(form) && convert.contains(way_out), "{what}; {convert}");
    }
}

#[test]
fn keys_of_other_kinds_are_named() {
    let cases: [(&[u8], &str); 3] = [
        (file!("p384.pem"), "a key on the curve 1.3.132.0.34"),
        (file!("ed25519.pem"), "an Ed25519 key"),
        (file!("rsa.pem"), "an RSA key"),
    ];
    for (file, kind) in cases {
        assert_eq!(refusal(file, b""), KeyFileError::NotP256(kind.to_owned()));
    }
}

#[test]
fn several_keys_and_none_are_refused() {
    assert_eq!(refusal(file!("notary-export-three-keys.pem"), PASSPHRASE), KeyFileError::Several(3));
    assert_eq!(refusal(b"", b""), KeyFileError::NotPem);
    assert_eq!(
        refusal(b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n", b""),
        KeyFileError::NotPem
    );
}

#[test]
fn imported_key_is_sealed_loaded_and_bound_as_the_file_says() {
    let vault = open_vault();
    let (file, passphrase) =
        (secret(vault.memory(), file!("notary-targets.key")), secret(vault.memory(), PASSPHRASE));
    let before = vault.report().locked_bytes;
    let imported = vault.import(&file, Some(&passphrase), Wanted::default()).unwrap();
    assert_eq!(vault.report().locked_bytes, before, "nothing but the slot is kept");
    assert_eq!(imported.binding, targets_of("localhost:5000/ntry/a"));
    let id = imported.public.id();
    assert!(verifies(&imported.public, b"m", &vault.sign(&id, b"m").unwrap()));
    vault.forget(&id);
    vault.load(id, &imported.binding, &imported.public, &imported.sealed).unwrap();
    assert!(verifies(&imported.public, b"m", &vault.sign(&id, b"m").unwrap()));
}

#[test]
fn caller_says_what_the_file_leaves_open() {
    let vault = open_vault();
    let passphrase = secret(vault.memory(), PASSPHRASE);
    let alice = secret(vault.memory(), file!("docker-signer-alice.key"));
    let refused = vault.import(&alice, Some(&passphrase), Wanted::default()).unwrap_err();
    assert!(matches!(refused, VaultError::NoRepository));
    let guns = vec!["b/b".parse().unwrap(), "a/a".parse().unwrap()];
    let imported =
        vault.import(&alice, Some(&passphrase), Wanted { role: None, guns: guns.clone() }).unwrap();
    let role = KeyRole::Delegation(touchmark_tuf::DelegationName::new("alice").unwrap());
    assert_eq!(imported.binding, Binding::new(role, guns));
    let plain = secret(vault.memory(), file!("sec1.pem"));
    assert!(matches!(vault.import(&plain, None, Wanted::default()), Err(VaultError::NoRole)));
    let root = secret(vault.memory(), file!("notary-root.key"));
    let root_passphrase = secret(vault.memory(), b"root-horse-9");
    assert!(matches!(
        vault.import(&root, Some(&root_passphrase), Wanted::default()),
        Err(VaultError::RootKey)
    ));
}

#[test]
fn headers_that_no_document_could_have_are_refused() {
    let vault = open_vault();
    let plain = String::from_utf8(file!("sec1.pem").to_vec()).unwrap();
    for (header, lines) in [("role", "role: Alice!\ngun: a/b"), ("gun", "role: targets\ngun: ../etc")] {
        let text = plain.replace("KEY-----\nMH", &format!("KEY-----\n{lines}\n\nMH"));
        assert_ne!(text, plain);
        let refused =
            vault.import(&secret(vault.memory(), text.as_bytes()), None, Wanted::default()).unwrap_err();
        assert!(
            matches!(&refused, VaultError::Header { header: found, .. } if *found == header),
            "{refused}"
        );
    }
}
