//! The shipped client while it still runs but has handed over what it was given.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hsm_tests::cli::shipped;
use hsm_tests::scan::{self, Findings};
use hsm_tests::terminal::Terminal;

use crate::left;
use crate::operations::ENCRYPTED;
use crate::stage::Stage;

/// In the command line of every client that is looked for here.
const REPOSITORY: &str = "client";

/// A vault that is opened by the token `root`, and a root key on it.
pub(crate) fn prepare(stage: &mut Stage) {
    let pin = stage.pins[0].clone();
    stage.given(&[&pin], &["vault", "init", "--token", "root"]).exits(0);
    stage.given(&[&pin], &["key", "create", "root", "--token", "root"]).exits(0);
    log_out(stage);
}

/// A script: its one line serves the whole command, so the client has it until it ends. The promise's exception, and
/// the proof that a client can be caught.
pub(crate) fn while_a_piped_pin_serves(stage: &mut Stage) {
    let (repository, pin) = (stage.repository(REPOSITORY), stage.pins[0].clone());
    let cli = stage.home.touchmark().args(["--format", "json", "init", &repository, "--pin-stdin"]);
    let mut command = cli.command();
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut said = BufReader::new(client.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("needs-pin")), "the client asks for the PIN");
    stage.notary.server().pause();
    writeln!(client.stdin.take().unwrap(), "{pin}").unwrap();
    let found = until("the client shows the PIN that it keeps", || {
        Some(look(stage)).filter(|findings| !findings.exposed.is_empty())
    });
    client.kill().unwrap();
    client.wait().unwrap();
    stage.notary.server().resume();
    assert!(found.exposed.iter().all(|hit| hit.needle == "PIN of root"), "{found:?}");
    log_out(stage);
}

/// A person at a terminal; the command goes on after the last PIN, to a trust server that hangs.
pub(crate) fn after_a_typed_pin(stage: &mut Stage) {
    let (repository, pin) = (stage.repository(REPOSITORY), stage.pins[0].clone());
    let mut terminal = Terminal::start(&stage.home.touchmark().args(["init", &repository]));
    // The prompt itself: what is typed before it is thrown away.
    terminal.wait_for("PIN");
    terminal.wait_for(": ");
    stage.notary.server().pause();
    let asked = stage.notary.gate().asked();
    terminal.type_line(&pin);
    // Nothing but a PIN was waited for, so that whoever asks the trust server now has handed it over.
    until("the client goes on to the trust server", || (stage.notary.gate().asked() > asked).then_some(()));
    look(stage).assert_clean("a client that has handed its PIN over");
    stage.notary.server().resume();
    let (code, shown) = terminal.end();
    assert!(code == Some(0) && !shown.contains(&pin), "{shown}");
}

/// A folder of key files: while the next one's passphrase is asked for, nothing is left of those before, neither the
/// plain key nor any passphrase, also a wrong one.
pub(crate) fn between_two_key_files(stage: &mut Stage) {
    let plain = stage.key("the key of a plain file");
    let [first, second] = ["first", "second"].map(|name| stage.key(&format!("the key of the {name} file")));
    let [one, two, wrong] =
        ["the first", "the second", "a wrong"].map(|name| stage.word(&format!("{name} passphrase")));
    let folder = stage.home.path().join("keys");
    std::fs::create_dir(&folder).unwrap();
    stage.key_file("keys/1.pem", &plain, &["ec"], "");
    stage.key_file("keys/2.pem", &first, &ENCRYPTED, &one);
    stage.key_file("keys/3.pem", &second, &ENCRYPTED, &two);
    let (repository, role) = (stage.repository(REPOSITORY), ["--role", "targets", "--repository"]);
    let cli = stage.home.touchmark().args(["key", "import"]).arg(&folder).args(role).arg(repository);
    let mut terminal = Terminal::start(&cli);
    for (answer, before) in
        [(&one, "an unencrypted key file"), (&wrong, "the first encrypted one"), (&two, "a wrong passphrase")]
    {
        terminal.wait_for("assphrase");
        terminal.wait_for(": ");
        look(stage).assert_clean(&format!("a client after {before}"));
        for pid in clients(stage) {
            left::told_nothing(pid, &stage.needles(), "a client");
        }
        terminal.type_line(answer);
    }
    let (code, shown) = terminal.end();
    assert!(code == Some(0) && [one, two, wrong].iter().all(|word| !shown.contains(word)), "{shown}");
    std::fs::remove_dir_all(folder).unwrap();
    stage.is_open_and_clean("key import of a folder");
}

/// The vault is open and the token is not: what opened the vault has ended.
fn log_out(stage: &mut Stage) {
    let pin = stage.pins[0].clone();
    stage.touchmark(&["lock"]).exits(0);
    stage.given(&[&pin], &["unlock", "root"]).exits(0);
}

/// Into every running client with this repository on its command line; there is one at least.
fn look(stage: &Stage) -> Findings {
    let clients = clients(stage);
    assert!(!clients.is_empty(), "no client runs");
    clients.into_iter().fold(Findings::default(), |all, pid| all.and(scan::process(pid, &stage.needles())))
}

fn clients(stage: &Stage) -> Vec<u32> {
    let program = shipped("touchmark").canonicalize().unwrap();
    let repository = stage.repository(REPOSITORY);
    let running = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_it = std::fs::read_link(path.join("exe")).ok()? == program
            && std::fs::read_to_string(path.join("cmdline")).ok()?.contains(&repository);
        path.file_name()?.to_str()?.parse().ok().filter(|_| is_it)
    });
    running.collect()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
