//! A daemon whose root keys are on a YubiKey with its PIN in a file, so that nobody is needed; and a vault.

use std::time::{Duration, Instant};

use hsm_tests::daemon::{Daemon, PinFrom, with_card};
use hsm_tests::home::Home;
use hsm_tests::pcscd::{Hold, Holder, NOBODYS, Pcscd};
use hsm_tests::piv::{Controls, Firmware, OWN_PIN, PivCard};
use hsm_tests::place::Place;
use hsm_tests::signing::{Failure, Repository, TokenRoot, connect, create_root, expiry};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use touchmark_proto::v1;
use touchmark_proto::v1::daemon_client::DaemonClient;

/// The card, and another one.
pub(crate) const SERIAL: u32 = 12_345_678;
pub(crate) const OTHER: u32 = 12_345_679;
/// Whatever is waited for has happened by then, on a loaded machine too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(20);

pub(crate) struct World {
    runtime: Runtime,
    channel: Channel,
    /// Its root key wants no touch, and that of the other one wants one every time.
    roots: [TokenRoot; 2],
    soft: Repository,
    /// The last version that the vault signed.
    version: u64,
    home: Home,
    pub(crate) daemon: Daemon,
    pub(crate) pcscd: Pcscd,
    /// The card's, wherever that is.
    controls: Controls,
    /// With the PIN.
    _place: Place,
}

impl World {
    pub(crate) fn new() -> Self {
        let pcscd = Pcscd::with_card(NOBODYS, PivCard::new(Firmware::V5_7, SERIAL).owned());
        let controls = pcscd.reader().controls();
        let (daemon, place) = with_card(&pcscd, SERIAL, PinFrom::File, OWN_PIN);
        let mut home = Home::new();
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        home.touchmark().args(["vault", "init", "--passphrase", "--pin-stdin"]).stdin("correct horse\n").ok();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (channel, roots, soft) = runtime.block_on(async {
            let channel = connect(daemon.socket()).await.unwrap();
            let mut roots = Vec::new();
            for touch in ["never", "always"] {
                let key = create_root(&channel, "5c", touch).await.unwrap();
                roots.push(TokenRoot::make(&channel, &format!("example.com/{touch}"), &key).await.unwrap());
            }
            let soft = Repository::adopt(&channel, "example.com/soft").await.unwrap();
            (channel, roots.try_into().unwrap(), soft)
        });
        assert_eq!(controls.pins_sent(), 1, "once logged in, the card makes keys and signs");
        Self { runtime, channel, roots, soft, version: 1, home, daemon, pcscd, controls, _place: place }
    }

    /// The card in the first reader now.
    pub(crate) fn card(&self) -> Controls {
        self.pcscd.reader().controls()
    }

    /// Wrong PINs that ours has ever got, and the tries that it has left.
    pub(crate) fn pins_wasted(&self) -> (usize, u8) {
        (self.controls.pins_refused(), self.pcscd.reader().look(|card| card.pin_tries()))
    }

    /// Signs with the root key that wants no touch.
    pub(crate) fn root(&self) -> Result<(), Failure> {
        self.runtime.block_on(self.roots[0].sign(&self.channel))
    }

    /// Signs with the other one.
    pub(crate) fn root_by_touch(&self) -> Result<(), Failure> {
        self.runtime.block_on(self.roots[1].sign(&self.channel))
    }

    /// As [`World::root`], and does not wait for it.
    pub(crate) fn ask(&self) -> JoinHandle<Result<(), Failure>> {
        let (root, channel) = (self.roots[0].clone(), self.channel.clone());
        self.runtime.spawn(async move { root.sign(&channel).await })
    }

    pub(crate) fn answered(&self, request: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
        self.runtime.block_on(request).unwrap()
    }

    /// The vault signs the next version of a repository, at once.
    pub(crate) fn vault_signs(&mut self) {
        self.version += 1;
        let bytes = self.soft.targets(self.version, &self.version.to_string(), &expiry());
        let signed = self.runtime.block_on(self.soft.sign(&self.channel, bytes));
        drop(signed.unwrap());
    }

    /// Waits until the daemon sees the token like this.
    pub(crate) fn until(&self, wanted: impl Fn(&v1::Token) -> bool) {
        let since = Instant::now();
        loop {
            let status = self.runtime.block_on(async {
                DaemonClient::new(self.channel.clone()).status(v1::StatusRequest {}).await
            });
            let token = status.unwrap().into_inner().tokens.remove(0);
            if wanted(&token) {
                return;
            }
            let seen = (token.presence(), token.logged_in, &token.detail);
            assert!(since.elapsed() < PATIENCE, "{seen:?}");
            std::thread::sleep(AGAIN);
        }
    }

    /// Waits until the root key signs; how long that is after `over`, in milliseconds.
    pub(crate) fn recovers(&self, over: Instant) -> u128 {
        while let Err(refused) = self.root() {
            assert!(over.elapsed() < PATIENCE, "{refused:?}\n{}", self.daemon.log());
            std::thread::sleep(AGAIN);
        }
        over.elapsed().as_millis()
    }

    /// Another program resets the card.
    pub(crate) fn resets_the_card(&self) {
        self.pcscd.cli("opensc-tool").arg("--reset").ok();
    }

    /// Another program has the card in the first reader.
    pub(crate) fn hold(&self, how: Hold) -> Holder {
        self.pcscd.hold(env!("CARGO_BIN_EXE_card-holder"), self.pcscd.reader(), how)
    }

    /// The processes of the daemon that have to do with tokens.
    pub(crate) fn helpers(&mut self) -> Vec<u32> {
        let daemon = self.daemon.process().pid();
        let threads = std::fs::read_dir(format!("/proc/{daemon}/task")).unwrap();
        let of = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("children"));
        let found: Vec<String> = threads.map(|thread| of(thread.unwrap()).unwrap()).collect();
        found.join(" ").split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The daemon is the same one, and everything that happened is in its record.
    pub(crate) fn is_as_before(&mut self, rounds: usize) {
        assert!(self.daemon.process().is_running());
        let record = self.home.touchmark().args(["audit", "export"]).ok().stdout;
        let of = |kind: &str| record.lines().filter(|line| line.contains(kind)).collect::<Vec<_>>();
        assert_eq!(of("\"kind\":\"start\"").len(), 1);
        assert_eq!(of("\"kind\":\"pin-refused\"").len(), 0);
        let untouched = of("\"kind\":\"outcome\"").into_iter().filter(|row| row.contains("touch")).count();
        assert!(untouched >= rounds, "{untouched} of {rounds} touches that never came are in the record");
        self.home.touchmark().args(["audit", "verify"]).ok();
    }
}
