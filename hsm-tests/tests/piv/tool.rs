//! Yubico's own tool.

use hsm_tests::cli::{Cli, Ran, tool};
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{AttestationCa, DEFAULT_PIN, Firmware, PivCard};
use hsm_tests::place::Place;

struct Bench {
    pcscd: Pcscd,
    place: Place,
}

impl Bench {
    /// The tool speaks 3DES alone.
    fn new() -> Self {
        let (ca, place) = (AttestationCa::new(), Place::new());
        std::fs::write(place.join("root"), ca.pem()).unwrap();
        let card = PivCard::vouched_for(Firmware::V5_4, 12_345_678, &ca);
        Self { pcscd: Pcscd::with_card(NOBODYS, card), place }
    }

    fn tool(&self, args: &[&str]) -> Ran {
        let cli = self.pcscd.cli("yubico-piv-tool").folder(self.place.path());
        cli.args(["-r", ""]).args(args).run()
    }

    fn openssl(&self, args: &[&str]) -> Ran {
        Cli::new(tool("openssl")).folder(self.place.path()).args(args).ok()
    }
}

/// A certificate that the tool signs itself is no part of this: version 2.2 cannot with OpenSSL 3, whatever the card.
#[test]
fn yubicos_tool_makes_a_key_and_is_content_with_its_signature_and_its_agreement() {
    let bench = Bench::new();
    bench.tool(&["-a", "version"]).exits(0).says("Application version 5.4.3 found.");
    bench.tool(&["-a", "verify-pin", "-P", "654321"]).fails().says("2 tries left");
    bench.tool(&["-a", "verify-pin", "-P", DEFAULT_PIN]).exits(0).says("Successfully verified PIN.");

    let made = ["-a", "generate", "-A", "ECCP256", "-s", "9c", "-o", "public"];
    bench.tool(&made).exits(0).says("Successfully generated a new private key.");
    bench.tool(&["-a", "attest", "-s", "9c", "-o", "certificate"]).exits(0);
    let log_in = ["-a", "verify-pin", "-P", DEFAULT_PIN, "-s", "9c", "-i", "certificate"];
    let signed = bench.tool(&[&log_in[..], &["-a", "test-signature"]].concat());
    signed.exits(0).says("Successful ECDSA verification.");
    let agreed = bench.tool(&[&log_in[..], &["-a", "test-decipher"]].concat());
    agreed.exits(0).says("Successfully performed ECDH exchange with card.");

    bench.tool(&["-a", "set-chuid", "-a", "set-ccc"]).exits(0);
    bench.tool(&["-a", "import-certificate", "-s", "9c", "-i", "certificate"]).exits(0);
    let status = bench.tool(&["-a", "status"]).exits(0).says("Serial Number:\t12345678").says("Slot 9c:");
    let status = status.says("Subject DN:\tCN=YubiKey PIV Attestation 9c").says("PIN tries left:\t3");
    status.says_nothing_of("No data available");
    bench.tool(&["-a", "delete-certificate", "-s", "9c"]).exits(0);
    bench.tool(&["-a", "status"]).exits(0).says_nothing_of("Slot 9c:");
}

#[test]
fn yubicos_tool_reads_an_attestation_that_leads_to_the_ca() {
    let bench = Bench::new();
    bench.tool(&["-a", "generate", "-A", "ECCP256", "-s", "82", "-o", "public"]).exits(0);
    bench.tool(&["-a", "attest", "-s", "82", "-o", "attested"]).exits(0);
    bench.tool(&["-a", "read-certificate", "-s", "f9", "-o", "f9"]).exits(0);
    let verify = ["verify", "-CAfile", "root", "-untrusted", "f9", "attested"];
    bench.openssl(&verify).says("attested: OK");
    let public = bench.openssl(&["x509", "-in", "attested", "-noout", "-pubkey"]).stdout;
    assert_eq!(public, std::fs::read_to_string(bench.place.join("public")).unwrap());
    bench.tool(&["-a", "attest", "-s", "83"]).fails();
}

#[test]
fn yubicos_tool_changes_and_unblocks_pins_and_starts_over() {
    let bench = Bench::new();
    bench.tool(&["-a", "change-pin", "-P", DEFAULT_PIN, "-N", "11223344"]).exits(0);
    for left in ["2 tries left", "1 tries left"] {
        bench.tool(&["-a", "verify-pin", "-P", DEFAULT_PIN]).fails().says(left);
    }
    bench.tool(&["-a", "reset"]).fails();
    let tries = || bench.pcscd.reader().look(|card| (card.pin_tries(), card.puk_tries()));
    assert_eq!(tries(), (1, 3));
    bench.tool(&["-a", "verify-pin", "-P", DEFAULT_PIN]).fails();
    bench.tool(&["-a", "verify-pin", "-P", "11223344"]).fails().says("Pin code blocked");
    bench.tool(&["-a", "unblock-pin", "-P", "12345678", "-N", "55667788"]).exits(0);
    assert_eq!(tries(), (3, 3));
    let retries = ["-a", "verify-pin", "-P", "55667788", "-a", "pin-retries"];
    bench.tool(&[&retries[..], &["--pin-retries", "2", "--puk-retries", "1"]].concat()).exits(0);
    assert_eq!(tries(), (2, 1));
    bench.tool(&["-a", "set-mgm-key", "-n", "0102030405060708090a0b0c0d0e0f101112131415161718"]).exits(0);
    bench.tool(&["-a", "set-chuid"]).fails().says("Failed authentication");
    for _ in 0..2 {
        bench.tool(&["-a", "verify-pin", "-P", "00000000"]).fails();
    }
    bench.tool(&["-a", "unblock-pin", "-P", "00000000", "-N", "55667788"]).fails();
    bench.tool(&["-a", "reset"]).exits(0).says("Successfully reset the application.");
    assert_eq!(tries(), (3, 3));
    bench.tool(&["-a", "set-chuid"]).exits(0);
}
