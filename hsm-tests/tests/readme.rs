//! The README's commands do what the README says.
//!
//! A fenced `console` block after the comment `<!-- test -->` is run: its lines that start with `$ ` are typed,
//! block after block, into one shell; the other lines must come up in the output in this order, where `...`
//! stands for anything. The shell has the built programs in PATH, a home folder of its own, a Notary
//! (`DOCKER_CONTENT_TRUST_SERVER`), a registry (`REGISTRY`) with `icho/alpine:latest` in it, and a Docker Engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{shipped, shipped_folder};
use hsm_tests::engine::Engine;
use hsm_tests::home::Home;
use hsm_tests::images::Image;
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;

const MARK: &str = "<!-- test -->";
const BLOCK: &str = "```console";

/// What is typed, and what is expected after it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Typed {
    command: String,
    expected: Vec<String>,
}

/// The commands of every marked block.
fn commands(text: &str) -> Vec<Typed> {
    let mut commands: Vec<Typed> = Vec::new();
    for marked in text.split(MARK).skip(1) {
        let block = marked.trim_start().strip_prefix(BLOCK).expect("a console block after the mark");
        let block = block.split("```").next().unwrap();
        for line in block.trim_matches('\n').lines() {
            let goes_on = commands.last().is_some_and(|typed| typed.command.ends_with('\\'));
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push(Typed { command: command.to_owned(), expected: Vec::new() });
            } else if goes_on {
                let last = commands.last_mut().unwrap();
                last.command = format!("{}\n{line}", last.command);
            } else if !line.trim().is_empty() {
                commands.last_mut().expect("a command before its output").expected.push(line.to_owned());
            }
        }
    }
    commands
}

/// A shell script that types them and says before each which one it is.
fn script(commands: &[Typed]) -> String {
    let mut script =
        "set -eu\ntrap 'for job in $(jobs -p); do kill $job; wait $job || true; done' EXIT\n".to_owned();
    for (number, typed) in commands.iter().enumerate() {
        script += &format!("echo '{}'\n{}\n", header(number), typed.command);
        // A person waits for the daemon's socket to be there; so does this shell.
        if let Some(started) = typed.command.strip_suffix(" &")
            && let Some((_, folder)) = started.split_once("run --dev ")
        {
            script += &format!("until [ -S {folder}/touchmarkd.sock ]; do kill -0 $!; sleep 0.1; done\n");
        }
    }
    script
}

fn header(number: usize) -> String {
    format!("=== command {number} ===")
}

/// Whether the pieces between the dots come up in this order.
fn matches(line: &str, expected: &str) -> bool {
    let mut rest = Some(line.trim());
    for piece in expected.split("...") {
        rest = rest.and_then(|rest| rest.split_once(piece.trim()).map(|(_, after)| after));
    }
    rest.is_some()
}

#[test]
fn the_readme_does_what_it_says() {
    let Some(engine) = Engine::start() else { return };
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let commands = commands(&std::fs::read_to_string(readme).unwrap());
    assert!(!commands.is_empty(), "the README has no block marked {MARK}");
    drop((shipped("touchmark"), shipped("touchmarkd")));
    let (notary, registry, mut home) = (Notary::start(&Ca::new()), Registry::start(), Home::new());
    home.use_notary(&notary);
    home.set("DOCKER_HOST", &engine.host());
    home.set("REGISTRY", &registry.host());
    Image::saying("readme").push(&registry, "icho/alpine", "latest");

    let path = format!("{}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", shipped_folder().display());
    let shell = home.cli(Path::new("/bin/bash")).env("PATH", path);
    let ran = shell.args(["-c", &format!("exec 2>&1\n{}", script(&commands))]).run().exits(0);

    for (number, typed) in commands.iter().enumerate() {
        let said = ran.stdout.split(&header(number)).nth(1).expect("every command ran");
        let mut lines = said.split("=== command ").next().unwrap().lines();
        for expected in &typed.expected {
            let found = lines.any(|line| matches(line, expected));
            assert!(found, "$ {}\nthe README says: {expected}\n{ran}", typed.command);
        }
    }
}

#[test]
fn marked_blocks_alone_are_run() {
    let text = "```console\n$ no\n```\n<!-- test -->\n```console\n$ echo a \\\n    b\na ... b\n$ true &\n```\n$ no\n";
    let typed = commands(text);
    assert_eq!(typed.len(), 2);
    assert_eq!(
        (typed[0].command.as_str(), typed[0].expected.as_slice()),
        ("echo a \\\n    b", ["a ... b".to_owned()].as_slice())
    );
    assert!(matches("  a x b", "a ... b") && !matches("b a", "a ... b"));
}
