//! PKCS#11 modules: Yubico's own, which wants a reader of its name.

use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::pcscd::{NOBODYS, Pcscd, YUBICOS};
use hsm_tests::piv::{DEFAULT_PIN, Firmware, PivCard};
use hsm_tests::place::Place;

/// Where Debian's package, and others, put the module.
const MODULES: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/libykcs11.so", "/usr/lib64/libykcs11.so"];

fn ykcs11(pcscd: &Pcscd, place: &Place, args: &[&str]) -> Ran {
    let module = MODULES.iter().find(|file| std::path::Path::new(file).is_file());
    let module = module.unwrap_or_else(|| panic!("ykcs11 is not installed: none of {MODULES:?}"));
    pcscd.cli("pkcs11-tool").folder(place.path()).args(["--module", module]).args(args).run()
}

#[test]
fn yubicos_module_lists_a_key_and_signs_with_it() {
    let pcscd = Pcscd::with_card(YUBICOS, PivCard::new(Firmware::V5_4, 12_345_678));
    let place = Place::new();
    let tool_ =
        |args: &[&str]| pcscd.cli("yubico-piv-tool").folder(place.path()).args(["-r", ""]).args(args).ok();
    tool_(&["-a", "generate", "-A", "ECCP256", "-s", "9c", "-o", "public"]);

    let slots = ykcs11(&pcscd, &place, &["-L"]).exits(0);
    slots.says("token label        : YubiKey PIV #12345678");
    let keys = ykcs11(&pcscd, &place, &["-l", "-p", DEFAULT_PIN, "-O"]).exits(0);
    keys.says("label:      Private key for Digital Signature")
        .says("ID:         02")
        .says("always authenticate");
    std::fs::write(place.join("digest"), [0x5a; 32]).unwrap();
    let sign = ["--sign", "-m", "ECDSA", "--signature-format", "openssl", "-i", "digest", "-o", "signature"];
    ykcs11(&pcscd, &place, &[&["-l", "-p", DEFAULT_PIN, "--id", "02"], &sign[..]].concat()).exits(0);
    let verify =
        ["pkeyutl", "-verify", "-pubin", "-inkey", "public", "-in", "digest", "-sigfile", "signature"];
    Cli::new(tool("openssl")).folder(place.path()).args(verify).ok().says("Signature Verified Successfully");
}

#[test]
fn yubicos_module_passes_over_a_reader_of_another_name() {
    let pcscd = Pcscd::with_card(NOBODYS, PivCard::new(Firmware::V5_4, 12_345_678));
    ykcs11(&pcscd, &Place::new(), &["-L"]).says_nothing_of("12345678");
}
