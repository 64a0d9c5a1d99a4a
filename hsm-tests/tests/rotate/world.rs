//! A daemon with two tokens, a Notary, a registry and a person who has signed one tag.

use std::sync::Arc;

use hsm_tests::ca::Ca;
use hsm_tests::cli::{Cli, Ran};
use hsm_tests::config;
use hsm_tests::daemon::Daemon;
use hsm_tests::front::{Front, Way};
use hsm_tests::home::Home;
use hsm_tests::http::{Answer, Request};
use hsm_tests::images::{Image, Pushed};
use hsm_tests::notary::Notary;
use hsm_tests::registry::Registry;
use hsm_tests::softhsm::{PIN, SoftHsm};
use serde_json::Value;

pub(crate) struct World {
    pub(crate) ca: Arc<Ca>,
    pub(crate) first: SoftHsm,
    pub(crate) daemon: Daemon,
    pub(crate) notary: Notary,
    pub(crate) registry: Registry,
    pub(crate) home: Home,
    /// Root keys: one on the token `first`, two on the token `spare`.
    pub(crate) keys: [String; 3],
    _spare: SoftHsm,
}

impl World {
    pub(crate) fn new() -> Self {
        let ca = Arc::new(Ca::new());
        let (first, spare) = (SoftHsm::with_token("first"), SoftHsm::with_token("spare"));
        let daemon = daemon([("first", &first), ("spare", &spare)]);
        let (notary, registry) = (Notary::start(&ca), Registry::start());
        let mut home = Home::new();
        home.use_notary(&notary);
        home.set("TOUCHMARK_SOCKET", daemon.socket().to_str().unwrap());
        let keys = [(); 3].map(|()| String::new());
        let mut world = Self { ca, first, daemon, notary, registry, home, keys, _spare: spare };
        world.touchmark(&["vault", "init", "--token", "first"]).ok();
        for (at, (token, label)) in [("first", "a"), ("spare", "b"), ("spare", "c")].iter().enumerate() {
            let made = world.touchmark(&["key", "create", "root", "--token", token, "--label", label]);
            made.ok().json()["key"]["id"].as_str().unwrap().clone_into(&mut world.keys[at]);
        }
        world
    }

    /// A command with JSON and the PIN of both tokens.
    pub(crate) fn touchmark(&self, args: &[&str]) -> Cli {
        let cli = self.home.touchmark().args(["--format", "json"]).args(args);
        match args[0] {
            "audit" | "ledger" | "token" | "inspect" | "verify" => cli,
            _ => cli.arg("--pin-stdin").stdin(format!("{PIN}\n").repeat(4)),
        }
    }

    /// The same that says yes.
    pub(crate) fn rotate(&self, what: &str, repository: &str, args: &[&str]) -> Cli {
        self.touchmark(&[&["rotate", what, repository, "--yes"], args].concat())
    }

    /// A repository with these root keys, any one of which signs, and the signed tag `one`.
    pub(crate) fn repository(&self, name: &str, roots: &[&String]) -> Repository {
        let repository = Repository {
            name: format!("{}/team/{name}", self.registry.host()),
            pushed: self.push(name, "one"),
            tag: "one".to_owned(),
        };
        let roots: Vec<&str> = roots.iter().flat_map(|id| ["--root", id.as_str()]).collect();
        self.touchmark(&[&["init", &repository.name], &roots[..]].concat()).ok();
        self.touchmark(&["sign", &repository.image()]).ok();
        repository
    }

    pub(crate) fn push(&self, name: &str, tag: &str) -> Pushed {
        Image::saying(tag).push(&self.registry, &format!("team/{name}"), tag)
    }

    /// Another tag is pushed and signed: from now on the repository's one.
    pub(crate) fn sign(&self, repository: &mut Repository, tag: &str) {
        let name = repository.name.rsplit('/').next().unwrap().to_owned();
        repository.pushed = self.push(&name, tag);
        tag.clone_into(&mut repository.tag);
        self.touchmark(&["sign", &repository.image()]).ok();
    }

    /// The server's current root, or a version of it.
    pub(crate) fn root(&self, repository: &Repository, version: Option<u64>) -> Option<Value> {
        let name = version.map_or_else(|| "root.json".to_owned(), |version| format!("{version}.root.json"));
        let url = format!("{}/v2/{}/_trust/tuf/{name}", self.notary.url(), repository.name);
        let answer = Request { ca: Some(&self.ca), ..Request::get(&url) }.send().unwrap();
        (answer.status == 200).then(|| serde_json::from_slice(&answer.body).unwrap())
    }

    /// Version, root keys and threshold of the current root.
    pub(crate) fn shape(&self, repository: &Repository) -> (u64, usize, u64) {
        let root = &self.root(repository, None).unwrap()["signed"];
        let role = &root["roles"]["root"];
        let keys = role["keyids"].as_array().unwrap().len();
        (root["version"].as_u64().unwrap(), keys, role["threshold"].as_u64().unwrap())
    }

    /// The ids that the current root lists for a role.
    pub(crate) fn listed(&self, repository: &Repository, role: &str) -> Value {
        self.root(repository, None).unwrap()["signed"]["roles"][role]["keyids"].clone()
    }

    /// Posts one file to the trust server, as whoever may push could.
    pub(crate) fn post(&self, repository: &Repository, role: &str, file: &[u8]) -> Answer {
        let head = format!(
            "--edge\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{role}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), file, b"\r\n--edge--\r\n"].concat();
        let url = format!("{}/v2/{}/_trust/tuf/", self.notary.url(), repository.name);
        let headers = [("Content-Type", "multipart/form-data; boundary=edge")];
        let request = Request {
            method: "POST",
            headers: &headers,
            body: &body,
            ca: Some(&self.ca),
            ..Request::get(&url)
        };
        request.send().unwrap()
    }

    /// A way to the trust server that cuts each upload of trust data off. Requests for keys pass.
    pub(crate) fn read_only(&self) -> Front {
        let front = Front::before(self.notary.url(), Arc::clone(&self.ca));
        front.rule(|request| match request.starts_with("POST") && request.ends_with("/tuf/") {
            true => Way::Cut,
            false => Way::Pass,
        });
        self.home.trust_tls_of(&front.host(), &self.ca.pem());
        front
    }
}

/// A repository and its newest signed tag.
#[derive(Clone)]
pub(crate) struct Repository {
    pub(crate) name: String,
    pub(crate) pushed: Pushed,
    pub(crate) tag: String,
}

impl Repository {
    pub(crate) fn image(&self) -> String {
        format!("{}:{}", self.name, self.tag)
    }
}

pub(crate) fn reason(ran: &Ran) -> String {
    let last = ran.stderr.lines().last().unwrap_or_default();
    let error: Value = serde_json::from_str(last).unwrap_or_else(|why| panic!("{why}\n{ran}"));
    error["error"]["reason"].as_str().unwrap_or_else(|| panic!("no reason\n{ran}")).to_owned()
}

fn daemon(tokens: [(&str, &SoftHsm); 2]) -> Daemon {
    Daemon::with_config(|folder, socket| {
        let mut text = config::places(folder, socket) + "max-expiry = { root = \"11y\" }\n";
        for (name, hsm) in tokens {
            let environment: Vec<_> =
                hsm.environment().iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
            text += &format!(
                "[[token]]\nname = {name:?}\nkind = \"pkcs11\"\nmodule = {:?}\ntoken-label = {name:?}\n\
                 pin = \"ask\"\nenv = {{ {} }}\n",
                SoftHsm::module(),
                environment.join(", "),
            );
        }
        // Without this a person would be asked for a PIN by `ledger release`.
        text + &config::allow(config::EVERYTHING)
    })
}
