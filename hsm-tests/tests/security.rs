//! SECURITY.md names a test for each threat. Here each of them is looked up: a test that was renamed or dropped
//! takes its promise with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[test]
fn every_test_that_security_md_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut tests: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in ["tuf", "daemon", "client", "hsm-tests", "fuzz"] {
        tests.insert(name, tests_below(&root.join(name)));
    }
    let named: Vec<(&str, &str)> =
        text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(" :: ")).collect();
    assert!(named.len() > 40, "SECURITY.md names {} tests", named.len());
    let missing: Vec<_> =
        named.iter().filter(|(part, test)| !tests.get(part).is_some_and(|of| of.contains(*test))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// Names of functions right behind a `#[test]`-like attribute.
fn tests_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tests_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(tests_of(&std::fs::read_to_string(path).unwrap()));
        }
    }
    found
}

fn tests_of(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            names.extend(rest.split('(').next().map(str::to_owned));
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("///") && !line.is_empty() {
            is_test = false;
        }
    }
    names
}
