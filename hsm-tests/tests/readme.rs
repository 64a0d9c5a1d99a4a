//! The README's commands do what the README says, and those of the guide to ceremonies what the guide says.
//!
//! A fenced `console` block after a comment `<!-- test: NAME -->` is run: its lines that start with `$ ` are typed
//! into one shell, all blocks of a name in order; the other lines must come up after them in this order, where
//! `...` stands for anything. The README's servers (`registry.example.com`, `https://notary.example.com`) are real
//! ones of the test. `dev` starts with nothing running and an OCI image layout `app`; `token` starts with a running
//! touchmarkd that has the README's own configuration, an empty SoftHSM, and somebody who types the PIN; `yubikey` the same
//! with a virtual card as it leaves the factory, whose maker's certificate is where the README wants it;
//! `rehearsal`, in the guide, with a token "test" in software and somebody who agrees to what is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../benches/speed/goal.rs"]
mod goal;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::path::Path;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, shipped, shipped_folder};
use hsm_tests::home::Home;
use hsm_tests::images::Image;
use hsm_tests::notary::Notary;
use hsm_tests::pcscd::{NOBODYS, Pcscd};
use hsm_tests::piv::{AttestationCa, Firmware, PivCard};
use hsm_tests::process::Process;
use hsm_tests::registry::Registry;
use hsm_tests::softhsm::{PIN, SoftHsm};
use hsm_tests::terminal::Terminal;

/// What is typed, and what is expected after it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Typed {
    command: String,
    expected: Vec<String>,
}

/// The commands of every block of this name.
fn commands(text: &str, name: &str) -> Vec<Typed> {
    let mut commands: Vec<Typed> = Vec::new();
    for marked in text.split(&format!("<!-- test: {name} -->")).skip(1) {
        let block = marked.trim_start().strip_prefix("```console").expect("a console block after the mark");
        for line in block.split("```").next().unwrap().trim_matches('\n').lines() {
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
    assert!(!commands.is_empty(), "the README has no block marked {name}");
    commands
}

/// A shell script that types them and says before each which one it is.
fn script(commands: &[Typed]) -> String {
    let mut script =
        "set -eu\ntrap 'for job in $(jobs -p); do kill $job; wait $job || true; done' EXIT\n".to_owned();
    for (number, typed) in commands.iter().enumerate() {
        script += &format!("echo \"{}\"\n{}\n", header(number), typed.command);
        // A person waits until the daemon says that it is ready; so does this shell.
        if typed.command.starts_with("touchmarkd run") && typed.command.ends_with('&') {
            script += "until grep -q ready touchmarkd.log; do kill -0 $!; sleep 0.1; done\n";
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

/// The README with its servers started.
struct Stage {
    readme: String,
    home: Home,
    _notary: Notary,
    _registry: Registry,
}

impl Stage {
    fn set() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let (notary, registry, mut home) = (Notary::start(&Ca::new()), Registry::start(), Home::new());
        home.use_notary(&notary);
        let run = home.path().join("run");
        std::fs::create_dir(&run).unwrap();
        home.set("XDG_RUNTIME_DIR", run.to_str().unwrap());
        let readme = std::fs::read_to_string(file).unwrap();
        let readme = readme.replace("registry.example.com", &registry.host());
        let readme = readme.replace("https://notary.example.com", &notary.url());
        Self { readme, home, _notary: notary, _registry: registry }
    }

    fn configure(&self, file: &str, text: &str) {
        let folder = self.home.path().join(".config/touchmark");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }

    /// A daemon with the configuration of this person.
    fn daemon(&self, environment: &BTreeMap<String, String>) -> Process {
        let touchmarkd = || {
            let cli = self.home.cli(&shipped("touchmarkd"));
            environment.iter().fold(cli, |cli, (name, value)| cli.env(name, value))
        };
        touchmarkd().arg("check").ok();
        let log = self.home.path().join("daemon.log");
        let mut daemon = Process::start("touchmarkd", &mut touchmarkd().arg("run").command(), &log);
        let socket = self.home.path().join("run/touchmark/touchmarkd.sock");
        daemon.wait_for("serving", || UnixStream::connect(&socket).is_ok());
        daemon
    }

    /// A shell that types the commands.
    fn shell(&self, commands: &[Typed]) -> Cli {
        drop((shipped("touchmark"), shipped("touchmarkd")));
        let path = format!("{}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", shipped_folder().display());
        let file = self.home.path().join("commands.sh");
        std::fs::write(&file, script(commands)).unwrap();
        self.home.cli(Path::new("/bin/bash")).env("PATH", path).env("NO_COLOR", "1").arg(file)
    }
}

/// Everything the README shows after a command came up after that command.
fn check(commands: &[Typed], output: &str) {
    for (number, typed) in commands.iter().enumerate() {
        let said = output.split(&header(number)).nth(1);
        let said = said.unwrap_or_else(|| panic!("not run: {}\n{output}", typed.command));
        let mut lines = said.split("=== command ").next().unwrap().lines();
        for expected in &typed.expected {
            let found = lines.any(|line| matches(line, expected));
            assert!(found, "$ {}\nthe README says: {expected}\n{output}", typed.command);
        }
    }
}

#[test]
fn the_dev_daemon_does_what_the_readme_says() {
    let stage = Stage::set();
    let commands = commands(&stage.readme, "dev");
    Image::saying("readme").lay_out(&stage.home.path().join("app"), "1.0");
    let ran = stage.shell(&commands).merged().run().exits(0);
    check(&commands, &ran.stdout);
}

#[test]
fn a_token_of_your_own_does_what_the_readme_says() {
    let stage = Stage::set();
    let commands = commands(&stage.readme, "token");
    let hsm = SoftHsm::empty();
    stage.configure("touchmarkd.toml", &configuration(&stage.readme, &hsm));
    let daemon = stage.daemon(&BTreeMap::new());

    let pins = ["PIN of token \"root\": ", "PIN for token \"root\": ", ", once more: ", "): "];
    let (code, output) = Terminal::start(&stage.shell(&commands)).answer(&pins.map(|prompt| (prompt, PIN)));
    assert_eq!(code, Some(0), "{output}\n{}", daemon.log());
    check(&commands, &output);
}

#[test]
fn a_factory_fresh_yubikey_does_what_the_readme_says() {
    const PIN: &str = "648219";
    const PUK: &str = "99887766";
    let stage = Stage::set();
    let commands = commands(&stage.readme, "yubikey");
    let maker = AttestationCa::new();
    let pcscd = Pcscd::with_card(NOBODYS, PivCard::vouched_for(Firmware::V5_7, 12_345_678, &maker));
    stage.configure("touchmarkd.toml", &toml_block(&stage.readme, "With a YubiKey"));
    stage.configure("attestation-ca.pem", &maker.pem());
    let daemon = stage.daemon(&pcscd.environment());

    let answers = [
        ("elsewhere) for YubiKey 12345678: ", PUK),
        ("elsewhere) for YubiKey 12345678, once more: ", PUK),
        ("New PIN for YubiKey 12345678: ", PIN),
        ("New PIN for YubiKey 12345678, once more: ", PIN),
        ("PIN of YubiKey 12345678, 3 tries left: ", PIN),
    ];
    let (code, output) = Terminal::start(&stage.shell(&commands)).answer(&answers);
    assert_eq!(code, Some(0), "{output}\n{}", daemon.log());
    check(&commands, &output);
    assert!(pcscd.reader().look(|card| card.opens_with(PIN, PUK)), "{output}");
}

#[test]
fn the_rehearsal_of_the_guide_does_what_the_guide_says() {
    let stage = Stage::set();
    let guide = include_str!("../../docs/ceremony.md");
    let commands = commands(guide, "rehearsal");
    let hsm = SoftHsm::with_token("test");
    let token = configuration(&stage.readme, &hsm).replace("\"root\"", "\"test\"");
    stage.configure("touchmarkd.toml", &token.replace("\"touchmark\"", "\"test\""));
    let daemon = stage.daemon(&BTreeMap::new());
    let token = stage.home.token_that_is("test", "present");
    let pin = format!("(serial {}): ", token["serial"].as_str().unwrap());
    let answers = [(pin.as_str(), PIN), ("[yes/no] ", "yes")];
    let (code, output) = Terminal::start(&stage.shell(&commands)).answer(&answers);
    assert_eq!(code, Some(0), "{output}\n{}", daemon.log());
    check(&commands, &output);
    assert!(stage.home.path().join("test.html").is_file());
}

/// The first block of configuration in that section.
fn toml_block(readme: &str, section: &str) -> String {
    let section = readme.split(&format!("\n## {section}\n")).nth(1).expect("a section of that name");
    section
        .split("```toml")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a toml block")
        .to_owned()
}

/// The README's own, and where this test's SoftHSM is.
fn configuration(readme: &str, hsm: &SoftHsm) -> String {
    let block = toml_block(readme, "With a token of your own");
    let block = block.replace("/usr/lib/softhsm/libsofthsm2.so", SoftHsm::module().to_str().unwrap());
    let env: Vec<String> =
        hsm.environment().iter().map(|(name, value)| format!("{name} = \"{value}\"")).collect();
    format!("{block}\nenv = {{ {} }}\n", env.join(", "))
}

#[test]
fn marked_blocks_alone_are_run() {
    let text = "```console\n$ no\n```\n<!-- test: a -->\n```console\n$ echo a \\\n    b\na ... b\n$ true &\n```\n$ no\n";
    let typed = commands(text, "a");
    assert_eq!(typed.len(), 2);
    assert_eq!(typed[0].command, "echo a \\\n    b");
    assert_eq!(typed[0].expected, ["a ... b"]);
    assert!(matches("  a x b", "a ... b") && !matches("b a", "a ... b"));
}

/// The figures are of another day and machine; what is measured, what is promised and whether that is kept is not.
#[test]
fn its_speed_table_is_the_one_that_make_bench_prints() {
    let readme = include_str!("../../README.md");
    let section =
        readme.split("\n## Speed\n").nth(1).expect("a section Speed").split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    assert_eq!(rows.len(), goal::GOALS.len());
    for (row, goal) in rows.iter().zip(&goal::GOALS) {
        let [what, promised, figure, verdict, _from] = row[..] else { panic!("five columns: {row:?}") };
        assert_eq!([what, promised], [goal.what, &goal.promised()]);
        let figure = figure.split(' ').next().unwrap().parse();
        let said = figure.map_or("not run", |figure| goal.verdict(figure));
        assert_eq!(verdict, said, "{row:?}");
    }
    let names: BTreeSet<_> = goal::GOALS.iter().map(|goal| goal.row).collect();
    assert_eq!(names.len(), goal::GOALS.len(), "each row has a name of its own");
}
