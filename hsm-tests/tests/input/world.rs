//! A daemon on dev state, a registry, a Notary behind a front, a person; and what all of them have at one moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran};
use hsm_tests::daemon::Daemon;
use hsm_tests::front::Front;
use hsm_tests::home::Home;
use hsm_tests::http::Request;
use hsm_tests::images::{Image, digest};
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;
use serde_json::Value;

/// Everything that a bad input must not change, by name, each with the digest of what it has.
pub(crate) type Picture = BTreeMap<String, String>;

pub(crate) struct World {
    pub(crate) ca: Arc<Ca>,
    pub(crate) daemon: Daemon,
    pub(crate) notary: Notary,
    pub(crate) front: Front,
    pub(crate) registry: Registry,
    pub(crate) home: Home,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Notary::start)
    }

    /// The same with a Notary whose backups can be restored.
    pub(crate) fn on_database() -> Self {
        Self::of(Notary::start_on_database)
    }

    fn of(start_notary: impl FnOnce(&Ca) -> Notary + Send) -> Self {
        let ca = Arc::new(Ca::new());
        let (notary, registry, daemon) = std::thread::scope(|all| {
            let notary = all.spawn(|| start_notary(&ca));
            let registry = all.spawn(Registry::start);
            let daemon = Daemon::dev();
            (notary.join().unwrap(), registry.join().unwrap(), daemon)
        });
        let front = Front::before(notary.url(), Arc::clone(&ca));
        let mut home = Home::new();
        home.trust_tls_of(&notary.host(), notary.ca_pem());
        home.trust_tls_of(&front.host(), notary.ca_pem());
        home.set("DOCKER_CONTENT_TRUST_SERVER", &front.url());
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        Self { ca, daemon, notary, front, registry, home }
    }

    /// The same with a repository `localhost:PORT/team/NAME` whose tag `1` is signed and whose tag `2` is only pushed.
    pub(crate) fn with(name: &str) -> (Self, String) {
        let world = Self::new();
        let repository = world.repository(name);
        world.push(name, "1");
        world.push(name, "2");
        world.touchmark(&["init", &repository]).ok();
        world.touchmark(&["sign", &format!("{repository}:1")]).ok();
        (world, repository)
    }

    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/team/{name}", self.registry.host())
    }

    pub(crate) fn push(&self, name: &str, tag: &str) {
        Image::saying(tag).push(&self.registry, &format!("team/{name}"), tag);
    }

    pub(crate) fn touchmark(&self, args: &[&str]) -> Cli {
        self.home.touchmark().args(args)
    }

    /// The tags that are signed, by somebody who knows nothing yet and asks the real server.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        let mut reader = Home::new();
        reader.use_notary(&self.notary);
        let shown = reader.touchmark().args(["--format", "json", "inspect", repository]).ok().json();
        let tags = shown["SignedTags"].as_array().unwrap();
        tags.iter().map(|tag| tag["SignedTag"].as_str().unwrap().to_owned()).collect()
    }

    /// What a repository has on the server, in the registry, in the trust directory and in the daemon.
    pub(crate) fn picture(&self, repository: &str) -> Picture {
        let mut picture = Picture::new();
        for role in ["root", "targets", "snapshot"] {
            let answer = self.served(repository, &format!("{role}.json"));
            picture.insert(format!("server {role}"), digest(&answer));
        }
        let path = repository.split_once('/').unwrap().1;
        let tags = Request::get(&format!("{}/v2/{path}/tags/list", self.registry.url())).send().unwrap();
        picture.insert("registry".to_owned(), tags.text());
        tree(&self.home.trust().join("tuf").join(repository), &mut picture);
        let ledger = self.touchmark(&["--format", "json", "ledger", "show", repository]).ok().stdout;
        picture.insert("ledger".to_owned(), ledger);
        picture
    }

    /// A file as the real server has it.
    pub(crate) fn served(&self, repository: &str, name: &str) -> Vec<u8> {
        let url = format!("{}/v2/{repository}/_trust/tuf/{name}", self.notary.url());
        Request { ca: Some(&self.ca), ..Request::get(&url) }.send().unwrap().body
    }
}

fn tree(folder: &Path, picture: &mut Picture) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            tree(&entry.path(), picture);
        } else {
            let content = std::fs::read(entry.path()).unwrap();
            picture.insert(entry.path().display().to_string(), digest(&content));
        }
    }
}

/// A refusal as it has to be.
#[derive(Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) code: i32,
    pub(crate) reason: &'a str,
    /// What the message has to name.
    pub(crate) names: &'a str,
    /// What the hint has to say.
    pub(crate) hint: &'a str,
}

impl Refusal<'_> {
    /// The one error object is the last line of stderr, and stdout has nothing.
    #[track_caller]
    pub(crate) fn is(&self, ran: &Ran) {
        assert_eq!(ran.code(), Some(self.code), "{ran}");
        assert_eq!(ran.stdout, "", "{ran}");
        let last = ran.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_else(|why| panic!("{why}\n{ran}"));
        let error = &error["error"];
        assert_eq!(error["reason"], self.reason, "{ran}");
        let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
        assert!(text("message").contains(self.names), "the message does not name {}\n{ran}", self.names);
        assert!(!text("hint").is_empty() && text("hint").contains(self.hint), "no hint {}\n{ran}", self.hint);
    }
}
