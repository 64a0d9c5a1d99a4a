//! Whatever a trust server does, the reader answers in time, takes a bounded amount of it, and keeps its cache.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::cli::Ran;
use hsm_tests::faketime;
use hsm_tests::home::Home;
use hsm_tests::hostile::{Hostile, Reply};
use hsm_tests::images::digest;
use hsm_tests::notary::Notary;
use hsm_tests::soak;

const GUN: &str = "localhost:5000/icho/alpine";
const IN_TIME: Duration = Duration::from_secs(60);
/// More than any document may have, far less than a server could send.
const BOUND: u64 = 64 << 20;

/// A reader who trusts the server's TLS certificate, but no more than that.
fn reader(ca: &Ca, host: &str) -> Home {
    let mut home = Home::new();
    home.trust_tls_of(host, &ca.pem());
    home.set("DOCKER_CONTENT_TRUST_SERVER", &format!("https://{host}"));
    home
}

fn verify(home: &Home) -> Ran {
    verify_with(home, &[])
}

fn verify_with(home: &Home, variables: &[(String, String)]) -> Ran {
    let begun = Instant::now();
    let image = format!("{GUN}:one");
    let verify = home.touchmark().args(["--format", "json", "verify", &image]);
    let ran = variables.iter().fold(verify, |verify, (name, value)| verify.env(name, value)).run();
    assert!(begun.elapsed() < IN_TIME, "it took {:?}\n{ran}", begun.elapsed());
    ran.says_nothing_of("panicked").says_nothing_of(GUN_OUT)
}

/// How a verified image starts on stdout; no hostile server may bring that about.
const GUN_OUT: &str = "localhost:5000/icho/alpine@sha256:";

fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(tree(&entry.path()));
        } else {
            files.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    files
}

#[test]
fn every_way_to_answer_badly_ends_in_a_reason_and_writes_nothing() {
    let ca = Ca::new();
    let badly: [(&str, Reply); 11] = [
        ("endless", Reply::Endless),
        ("drip", Reply::Drip),
        ("silence", Reply::Silence),
        ("cut", Reply::Cut),
        ("nonsense", Reply::Nonsense),
        ("empty", Reply::ok("")),
        ("html", Reply::ok("<html>login</html>")),
        ("deep", Reply::ok("[".repeat(1 << 20))),
        ("null", Reply::ok("null")),
        ("503", Reply::status(503)),
        ("a loop", Reply::header(302, "Location", "/v2/loop")),
    ];
    std::thread::scope(|all| {
        for (name, reply) in badly {
            let ca = &ca;
            all.spawn(move || {
                // These two end when the reader's patience does. The long form waits as long as a person would.
                let is_slow = matches!(reply, Reply::Drip | Reply::Silence);
                let hurry = if is_slow && !soak::is_on() { faketime::faster(5) } else { Vec::new() };
                let server = Hostile::tls(ca, move |_| reply.clone());
                let home = reader(ca, &server.host());
                let ran = verify_with(&home, &hurry);
                let code = ran.code();
                assert!(matches!(code, Some(1 | 6)), "{name}: exit code {code:?}");
                if is_slow {
                    drop(ran.exits(6).says("TRUST_SERVER_UNREACHABLE").says("in time"));
                    assert_eq!(server.requests().len(), 1, "{name}: it was asked");
                }
                assert!(server.sent() < BOUND, "{name}: took {} bytes", server.sent());
                assert_eq!(
                    tree(&home.trust().join("tuf")),
                    BTreeMap::new(),
                    "{name}: the cache is not empty"
                );
            });
        }
    });
}

#[test]
fn a_cache_survives_a_server_that_turns_bad() {
    let ca = Ca::new();
    let notary = Notary::start(&ca);
    let mut home = Home::new();
    home.use_notary(&notary);
    let hash = digest(b"one").replace("sha256:", "");
    home.notary(&notary).args(["init", GUN]).ok();
    home.notary(&notary).args(["addhash", GUN, "one", "3", "--sha256", &hash, "-p"]).ok();
    home.touchmark().args(["verify", &format!("{GUN}:one")]).ok();
    let before = tree(&home.trust().join("tuf"));

    for reply in [Reply::Endless, Reply::ok("{}"), Reply::ok("null"), Reply::Nonsense] {
        let server = Hostile::tls(&ca, move |_| reply.clone());
        home.trust_tls_of(&server.host(), &ca.pem());
        home.set("DOCKER_CONTENT_TRUST_SERVER", &format!("https://{}", server.host()));
        home.touchmark().args(["verify", &format!("{GUN}:one")]).run().says_nothing_of("panicked");
        assert_eq!(tree(&home.trust().join("tuf")), before);
    }
}

#[test]
fn credentials_stay_on_verified_connections() {
    let ca = Ca::new();
    let login = Reply::header(401, "WWW-Authenticate", "Basic realm=\"touchmark\"");
    let plain = Hostile::plain({
        let login = login.clone();
        move |_| login.clone()
    });
    let elsewhere = format!("http://{}/v2/", plain.host());
    let [verified, unverified] = [&ca, &Ca::new()].map(|ca| {
        let login = login.clone();
        Hostile::tls(ca, move |_| login.clone())
    });
    let redirects = Hostile::tls(&ca, move |_| Reply::header(302, "Location", &elsewhere));
    let all = [&plain, &verified, &unverified, &redirects];
    for server in all {
        let scheme = if std::ptr::eq(server, &plain) { "http" } else { "https" };
        let mut home = reader(&ca, &server.host());
        home.set("DOCKER_CONTENT_TRUST_SERVER", &format!("{scheme}://{}", server.host()));
        // dev:secret, of the image's registry: the trust server is asked in its name, as Docker does.
        let login = r#"{"auths":{"localhost:5000":{"auth":"ZGV2OnNlY3JldA=="}}}"#;
        std::fs::write(home.docker_config().join("config.json"), login).unwrap();
        verify(&home).fails();
    }
    let told = |server: &Hostile| {
        server.requests().iter().any(|request| request.to_ascii_lowercase().contains("authorization: basic"))
    };
    assert!(told(&verified), "a verified server that asks is told: {:?}", verified.requests());
    assert!(!told(&plain), "{:?}", plain.requests());
    assert!(!told(&unverified), "{:?}", unverified.requests());
}
