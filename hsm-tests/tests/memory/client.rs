//! The shipped client while it still runs but has handed its PIN over: the trust server hangs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, shipped};
use hsm_tests::daemon::Daemon;
use hsm_tests::home::Home;
use hsm_tests::notary::Notary;
use hsm_tests::scan::{self, Findings, Needles};
use hsm_tests::softhsm::{PIN, SoftHsm};
use hsm_tests::terminal::Terminal;

const REPOSITORY: &str = "localhost:5000/icho/client";
/// Nothing asked for so long: the client waits for the trust server, which hangs.
const QUIET: Duration = Duration::from_secs(3);

/// A daemon with a token that asks for its PIN, a root key, a vault, and a person.
pub(crate) struct Stage {
    notary: Notary,
    home: Home,
    _daemon: Daemon,
    _hsm: SoftHsm,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let (notary, hsm, mut home) =
            (Notary::start(&Ca::new()), SoftHsm::with_token("touchmark"), Home::new());
        let daemon = Daemon::with_config(|folder, socket| {
            let env: Vec<_> =
                hsm.environment().iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
            format!(
                "socket = '{}'\nstate = '{}'\n[[token]]\nname = 'root'\nkind = 'pkcs11'\nmodule = '{}'\n\
                 token-label = 'touchmark'\npin = 'ask'\nenv = {{ {} }}\n",
                socket.display(),
                folder.join("state").display(),
                SoftHsm::module().display(),
                env.join(", ")
            )
        });
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", &daemon.socket().to_string_lossy());
        let stage = Self { notary, home, _daemon: daemon, _hsm: hsm };
        stage.typed(&["key", "create", "root", "--token", "root"]).ok();
        stage.typed(&["vault", "init", "--token", "root"]).ok();
        stage
    }

    /// A person at a terminal; the PIN is typed, handed over and gone while the command goes on.
    pub(crate) fn after_a_typed_pin(&self) -> Findings {
        let mut terminal = Terminal::start(&self.home.touchmark().args(["init", REPOSITORY]));
        terminal.wait_for("PIN");
        self.notary.server().pause();
        // Each call of the command that needs a person asks; after the last one it waits for the trust server.
        let (mut quiet, mut answered) = (Instant::now(), 0);
        while quiet.elapsed() < QUIET {
            if terminal.shown().trim_end().ends_with(':') {
                terminal.type_line(PIN);
                terminal.wait_for("\n");
                (quiet, answered) = (Instant::now(), answered + 1);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(answered > 0, "nobody asked for the PIN:\n{}", terminal.shown());
        let findings = Self::scan();
        self.notary.server().resume();
        findings
    }

    /// A script: its one line serves the whole command, so the client has it until it ends.
    pub(crate) fn while_a_piped_pin_serves(&self) -> Findings {
        let cli = self.home.touchmark().args(["--format", "json", "init", REPOSITORY, "--pin-stdin"]);
        let mut command = cli.command();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut client = command.spawn().unwrap();
        let mut said = BufReader::new(client.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("needs-pin")), "the client asks for the PIN");
        self.notary.server().pause();
        writeln!(client.stdin.take().unwrap(), "{PIN}").unwrap();
        let found = until(|| Some(Self::scan()).filter(|findings| !findings.exposed.is_empty()));
        client.kill().unwrap();
        client.wait().unwrap();
        self.notary.server().resume();
        found.expect("the client shows the PIN that it keeps")
    }

    fn typed(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(args).arg("--pin-stdin").stdin(format!("{PIN}\n"))
    }

    /// Every running client with this repository on its command line.
    fn scan() -> Findings {
        let needles = Needles::default().secret("PIN", PIN.as_bytes());
        clients().into_iter().fold(Findings::default(), |all, pid| all.and(scan::process(pid, &needles)))
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + Duration::from_secs(20);
    std::iter::from_fn(|| (Instant::now() < deadline).then(&mut look)).flatten().next()
}

fn clients() -> Vec<u32> {
    let program = shipped("touchmark").canonicalize().unwrap();
    let running = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_it = std::fs::read_link(path.join("exe")).ok()? == program
            && std::fs::read_to_string(path.join("cmdline")).ok()?.contains(REPOSITORY);
        path.file_name()?.to_str()?.parse().ok().filter(|_| is_it)
    });
    running.collect()
}
