//! The arrows between the crates, and what may not be anywhere below them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Package name -> the packages it is built with (normal and build dependencies, as resolved for Linux).
struct Graph {
    names: BTreeMap<String, String>,
    arrows: BTreeMap<String, Vec<String>>,
    members: Vec<String>,
}

impl Graph {
    fn read() -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let args = ["metadata", "--format-version=1", "--offline", "--locked"];
        let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
        let out = Command::new(cargo).args(args).args(platform).output().expect("cargo metadata");
        assert!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
        let all: Value = serde_json::from_slice(&out.stdout).unwrap();

        let packages = all["packages"].as_array().unwrap().iter();
        let names = packages.map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let nodes = all["resolve"]["nodes"].as_array().unwrap().iter();
        let arrows = nodes.map(|node| (text(&node["id"]), built_with(&node["deps"]))).collect();
        let members = all["workspace_members"].as_array().unwrap().iter().map(text).collect();
        Self { names, arrows, members }
    }

    /// The workspace's own crates among the direct dependencies.
    fn neighbours(&self, package: &str) -> BTreeSet<&str> {
        let direct = self.arrows[self.id(package)].iter();
        direct.filter(|id| self.members.contains(id)).map(|id| self.names[id].as_str()).collect()
    }

    /// Everything the package is built with, directly or not.
    fn below(&self, package: &str) -> BTreeSet<&str> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![self.id(package)]);
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                next.extend(self.arrows[id].iter().map(String::as_str));
            }
        }
        seen.iter().map(|id| self.names[*id].as_str()).collect()
    }

    fn id(&self, package: &str) -> &str {
        self.members.iter().find(|id| self.names[*id] == package).expect("a crate of the workspace")
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn built_with(dependencies: &Value) -> Vec<String> {
    let not_only_tests = |kinds: &Value| kinds.as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
    let dependencies = dependencies.as_array().unwrap().iter();
    dependencies.filter(|one| not_only_tests(&one["dep_kinds"])).map(|one| text(&one["pkg"])).collect()
}

#[test]
fn the_arrows_between_the_crates_hold() {
    let graph = Graph::read();
    let expect = |package: &str, allowed: &[&str]| {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let have = graph.neighbours(package);
        assert!(have.is_subset(&allowed), "{package} depends on {have:?}, and may only on {allowed:?}");
    };
    expect("touchmark-tuf", &[]);
    expect("touchmark-proto", &["touchmark-tuf"]);
    expect("touchmarkd", &["touchmark-tuf", "touchmark-proto"]);
    expect("touchmark", &["touchmark-tuf", "touchmark-proto"]);
    expect("touchmark-fuzz", &["touchmark-tuf", "touchmark-proto", "touchmarkd", "touchmark"]);
    assert_eq!(graph.members.len(), 6, "a new crate needs its arrows here");
}

#[test]
fn no_crate_is_built_with_what_it_must_not_have() {
    let graph = Graph::read();
    let refuse = |package: &str, refused: &[&str]| {
        let below = graph.below(package);
        let found: Vec<_> = refused.iter().filter(|name| below.contains(**name)).collect();
        assert!(found.is_empty(), "{package} is built with {found:?}");
    };
    // The documents: no I/O, no clock, no randomness of their own.
    refuse("touchmark-tuf", &["tokio", "tonic", "hyper", "reqwest", "rusqlite", "cryptoki", "bollard"]);
    // The daemon opens no connection.
    refuse("touchmarkd", &["reqwest", "oci-client", "bollard", "rustls", "hyper-rustls"]);
    // The client has no private keys.
    refuse("touchmark", &["p256", "cryptoki", "rusqlite"]);
    for package in ["touchmarkd", "touchmark", "hsm-tests"] {
        refuse(
            package,
            &["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "protoc-bin-vendored"],
        );
    }
}

#[test]
fn without_yubikeys_the_daemon_is_built_without_smart_cards() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let tree = |more: &[&str]| {
        let args =
            ["tree", "--package=touchmarkd", "--edges=normal", "--prefix=none", "--offline", "--locked"];
        let out = Command::new(&cargo).args(args).args(more).output().expect("cargo tree");
        assert!(out.status.success(), "cargo tree: {}", String::from_utf8_lossy(&out.stderr));
        let lines = String::from_utf8(out.stdout).unwrap();
        lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (with, without) = (tree(&[]), tree(&["--no-default-features"]));
    for name in ["yubikey", "pcsc", "pcsc-sys"] {
        assert!(with.contains(name) && !without.contains(name), "{name}");
    }
}
