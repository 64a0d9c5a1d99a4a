//! The judges alone, without Touchmark: if these fail, this machine cannot judge.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use hsm_tests::ca::Ca;
use hsm_tests::engine::Engine;
use hsm_tests::home::{Docker, Home};
use hsm_tests::http::Request;
use hsm_tests::images::{Image, digest, push_index};
use hsm_tests::notary::Notary;
use hsm_tests::registry::{Login, Registry};

const GUN: &str = "localhost:5000/icho/alpine";

/// A Notary, and somebody who uses it.
fn notary_and_home() -> (Notary, Home) {
    let (notary, mut home) = (Notary::start(&Ca::new()), Home::new());
    home.use_notary(&notary);
    (notary, home)
}

#[test]
fn the_notary_cli_signs_and_looks_up_on_the_notary_server() {
    let (notary, home) = notary_and_home();
    let hash = digest(b"any manifest").replace("sha256:", "");

    home.notary(&notary).args(["init", GUN]).ok();
    home.notary(&notary).args(["addhash", GUN, "1", "523", "--sha256", &hash, "-p"]).ok();

    home.notary(&notary).args(["lookup", GUN, "1"]).ok().says(&format!("1 sha256:{hash} 523"));
    home.notary(&notary).args(["lookup", GUN, "2"]).run().fails().says("No valid trust data for 2");
}

#[test]
fn a_closed_gate_is_an_outage_and_loses_nothing() {
    let (notary, home) = notary_and_home();
    let hash = digest(b"any manifest").replace("sha256:", "");
    home.notary(&notary).args(["init", GUN]).ok();
    home.notary(&notary).args(["addhash", GUN, "1", "523", "--sha256", &hash, "-p"]).ok();
    let mut other = Home::new(); // has no cache
    other.use_notary(&notary);

    notary.gate().close();
    other.notary(&notary).args(["lookup", GUN, "1"]).run().fails().says("connection refused");

    notary.gate().open();
    other.notary(&notary).args(["lookup", GUN, "1"]).ok().says(&hash);
}

#[test]
fn the_registry_takes_images_and_indexes_byte_for_byte() {
    let registry = Registry::start();
    let (amd64, arm64) = (Image::saying("hello"), Image::saying_on("hello", "arm64"));

    let image = amd64.push(&registry, "icho/alpine", "one");
    let index = push_index(&registry, "icho/alpine", "both", &[amd64, arm64]);

    for (tag, pushed) in [("one", image), ("both", index)] {
        let url = format!("{}/v2/icho/alpine/manifests/{tag}", registry.url());
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";
        let get = Request { headers: &[("Accept", accept)], ..Request::get(&url) };
        let answer = get.send().unwrap().expect_status(200);
        assert_eq!((digest(&answer.body), answer.body.len()), (pushed.digest, pushed.size));
    }
}

#[test]
fn a_registry_with_tls_and_login_lets_nobody_in_without() {
    let ca = Ca::new();
    let registry = Registry::start_with(Some(&ca), Login::Basic);
    let url = format!("{}/v2/", registry.url());
    let anonymous = Request { ca: Some(&ca), ..Request::get(&url) };
    anonymous.send().unwrap().expect_status(401);
    let login = [("Authorization", "Basic ZGV2OnRvdWNobWFyaw==")]; // dev:touchmark
    Request { headers: &login, ..anonymous }.send().unwrap().expect_status(200);
    let other = Ca::new();
    assert!(Request { ca: Some(&other), ..anonymous }.send().is_err(), "another CA does not vouch for it");
}

#[test]
fn every_docker_cli_signs_pulls_and_refuses_by_itself() {
    let Some(engine) = Engine::start() else { return };
    let registry = Registry::start();
    for docker in Docker::all() {
        let (_notary, mut home) = notary_and_home();
        home.set("DOCKER_HOST", &engine.host());
        let name = format!("{}/icho/docker{}", registry.host(), docker.major());
        let (signed, unsigned) = (format!("{name}:trusted"), format!("{name}:unsigned"));
        for image in [&signed, &unsigned] {
            let archive = home.path().join("image.tar");
            Image::saying(image).save(&archive, image);
            home.docker(&docker).args(["load", "-i"]).arg(&archive).ok().says("Loaded image");
        }

        home.trusting_docker(&docker).args(["push", &signed]).ok().says("Successfully signed");
        home.docker(&docker).args(["push", &unsigned]).ok();
        home.docker(&docker).args(["rmi", &signed, &unsigned]).ok();

        home.trusting_docker(&docker).args(["pull", &signed]).ok().says("Pull (1 of 1): ");
        home.trusting_docker(&docker).args(["pull", &unsigned]).run().exits(1).says("No valid trust data");
        home.docker(&docker).args(["pull", &unsigned]).ok();
    }
}
