//! An answer that nobody hears: stdout or stderr closed, full, or a pipe whose reader has gone.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use hsm_tests::cli::{Cli, shipped, tool};

use crate::world::World;

/// What a stream leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    /// A file that takes it all.
    Kept,
    /// `>&-`
    Closed,
    /// A device that is full.
    Full,
    /// A pipe whose reader has gone.
    Gone,
}

fn stdio(to: To) -> Stdio {
    match to {
        To::Kept | To::Closed => Stdio::piped(),
        To::Full => File::options().write(true).open("/dev/full").unwrap().into(),
        To::Gone => {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer.into()
        }
    }
}

fn run(cli: &Cli, stdout: To, stderr: To) -> Output {
    let plain = cli.command();
    let mut command = Command::new(tool("sh"));
    let closing = |to, text| if to == To::Closed { text } else { "" };
    let line = format!("exec \"$@\" {} {}", closing(stdout, ">&-"), closing(stderr, "2>&-"));
    command.args(["-c", &line, "sh"]).arg(plain.get_program()).args(plain.get_args()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap());
    command.stdin(Stdio::null()).stdout(stdio(stdout)).stderr(stdio(stderr)).output().unwrap()
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure_and_one_that_nobody_reads_is_none() {
    let (world, app) = World::with("app");
    let [one, two] = ["1", "2"].map(|tag| format!("{app}:{tag}"));
    let keys = world.touchmark(&["--format", "json", "key", "ls"]).ok().json();
    let id = keys["keys"][0]["id"].as_str().unwrap();
    let commands: &[&[&str]] = &[
        &["--help"],
        &["sign", "--help"],
        &["--version"],
        &["completions", "bash"],
        &["status"],
        &["token", "ls"],
        &["key", "ls"],
        &["key", "export", id],
        &["ledger", "show"],
        &["audit", "show"],
        &["audit", "verify"],
        &["audit", "export"],
        &["expiry"],
        &["doctor"],
        &["trust", "ls"],
        &["verify", &one],
        &["inspect", &app],
        &["publish", &app],
        &["sign", &two],
    ];
    for (number, args) in commands.iter().enumerate() {
        for format in ["text", "json"] {
            let cli = world.touchmark(&["--format", format]).args(*args);
            let usual = cli.run();
            let code = |stdout, stderr| {
                let output = run(&cli, stdout, stderr);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(!said.contains("panicked"), "{args:?} {format} {stdout:?}: {said}");
                (output.status.code(), said)
            };
            // Closed, or a reader that has heard enough (`| head -1`): the exit code is the answer.
            for stdout in [To::Closed, To::Gone] {
                assert_eq!(code(stdout, To::Kept).0, usual.code(), "{args:?} {format} {stdout:?}\n{usual}");
            }
            let stderr = [To::Closed, To::Full, To::Gone][number % 3];
            assert_eq!(
                code(To::Kept, stderr).0,
                usual.code(),
                "{args:?} {format} stderr {stderr:?}\n{usual}"
            );
            let (full, said) = code(To::Full, To::Kept);
            assert_eq!(full, Some(2), "{args:?} {format}\n{said}");
            assert!(said.contains("cannot write to standard output: No space left"), "{args:?}: {said}");
        }
    }
    // A refusal is one wherever its text goes.
    let refused = world.touchmark(&["verify", &format!("{app}:nope")]);
    for to in [To::Closed, To::Full, To::Gone] {
        assert_eq!(run(&refused, To::Kept, to).status.code(), Some(1), "{to:?}");
    }
    assert_eq!(world.tags(&app), ["1", "2"]);
}

#[test]
fn the_daemon_lives_without_anybody_who_reads_what_it_says() {
    for (args, code) in [(&["check"] as &[&str], 0), (&["run", "--config", "/nowhere.toml"], 2)] {
        let place = hsm_tests::place::Place::new();
        let runtime = place.folder("run");
        let program = Cli::new(shipped("touchmarkd")).folder(place.path()).env("HOME", place.path());
        let program = program.env("XDG_RUNTIME_DIR", runtime).args(args);
        for to in [To::Closed, To::Full, To::Gone] {
            for (stdout, stderr) in [(to, To::Kept), (To::Kept, to), (to, to)] {
                let output = run(&program, stdout, stderr);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(!said.contains("panicked"), "{args:?} {to:?}: {said}");
                let wanted = if code == 0 && stdout == To::Full { 1 } else { code };
                assert_eq!(output.status.code(), Some(wanted), "{args:?} {stdout:?} {stderr:?} {said}");
            }
        }
    }
}

/// The log's disk is full: the daemon signs on.
#[test]
fn a_daemon_whose_log_cannot_be_written_serves_on() {
    let place = hsm_tests::place::Place::new();
    let folder = place.folder("dev");
    let program = Cli::new(shipped("touchmarkd")).folder(place.path()).env("HOME", place.path());
    let mut command = program.args(["run", "--dev"]).arg(&folder).command();
    let mut child =
        command.stdin(Stdio::null()).stdout(stdio(To::Full)).stderr(stdio(To::Full)).spawn().unwrap();
    let socket = folder.join("touchmarkd.sock");
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the daemon ended");
        std::thread::yield_now();
    }
    let touchmark = |args: &[&str]| {
        let cli = Cli::new(shipped("touchmark")).env("HOME", place.path()).arg("--socket").arg(&socket);
        cli.args(args).ok()
    };
    touchmark(&["key", "create", "targets", "localhost:5000/a"]);
    touchmark(&["lock"]);
    touchmark(&["unlock"]);
    touchmark(&["audit", "verify"]).says("unbroken");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
