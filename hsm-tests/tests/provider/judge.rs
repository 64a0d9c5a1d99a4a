//! OpenSSL as a judge, and as the other party of a vault key.

use std::path::PathBuf;

use hsm_tests::cli::{Cli, tool};
use hsm_tests::place::Place;
use touchmark_tuf::{EcdsaSignature, PublicKey};

fn openssl() -> Cli {
    Cli::new(tool("openssl"))
}

/// Whether OpenSSL takes the signature for the key's over SHA-256 of `message`.
pub(crate) fn openssl_verifies(key: &PublicKey, message: &[u8], signature: &EcdsaSignature) -> bool {
    let place = Place::new();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        std::fs::write(place.join(name), bytes).unwrap();
        place.join(name)
    };
    let key = file("key", &key.spki().unwrap());
    let (message, signature) = (file("message", message), file("signature", &signature.to_der()));
    let verify = openssl().args(["dgst", "-sha256", "-keyform", "DER", "-verify"]).arg(key);
    verify.arg("-signature").arg(signature).arg(message).run().stdout.contains("Verified OK")
}

/// `plain` sealed to an RSA key by OpenSSL, OAEP with SHA-1.
pub(crate) fn openssl_seals(key: &PublicKey, plain: &[u8]) -> Vec<u8> {
    let place = Place::new();
    std::fs::write(place.join("key"), key.spki().unwrap()).unwrap();
    std::fs::write(place.join("plain"), plain).unwrap();
    let oaep =
        ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha1", "-pkeyopt", "rsa_mgf1_md:sha1"];
    let seal = openssl().args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER"]).args(oaep);
    seal.arg("-inkey")
        .arg(place.join("key"))
        .arg("-in")
        .arg(place.join("plain"))
        .arg("-out")
        .arg(place.join("sealed"))
        .ok();
    std::fs::read(place.join("sealed")).unwrap()
}

/// A fresh P-256 key made by OpenSSL, as its point and the x coordinate it shares with `key`.
pub(crate) fn openssl_agrees(key: &PublicKey) -> ([u8; 65], Vec<u8>) {
    let place = Place::new();
    let [own, own_public, peer, shared] = ["own", "own.pub", "peer", "shared"].map(|name| place.join(name));
    std::fs::write(&peer, key.spki().unwrap()).unwrap();
    let curve =
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-outform", "DER", "-out"];
    openssl().args(curve).arg(&own).ok();
    let public = openssl().args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER", "-in"]).arg(&own);
    public.arg("-out").arg(&own_public).ok();
    let derive =
        openssl().args(["pkeyutl", "-derive", "-keyform", "DER", "-peerform", "DER", "-inkey"]).arg(&own);
    derive.arg("-peerkey").arg(&peer).arg("-out").arg(&shared).ok();
    let point = PublicKey::from_spki(&std::fs::read(&own_public).unwrap()).unwrap().p256_point().unwrap();
    (point, std::fs::read(&shared).unwrap())
}
