//! Vault signatures: next versions of real targets documents, each read, decided on, recorded durably, signed and
//! verified by the shipped daemon.

use hsm_tests::ca::Ca;
use hsm_tests::daemon::Daemon;
use hsm_tests::notary::Notary;
use hsm_tests::place::Place;
use tonic::transport::Channel;
use touchmark_tuf::Targets;

use crate::daemon::connect;
use crate::health::Empty;
use crate::in_process::InProcess;
use crate::load::Load;
use crate::notary_signer::NotaryClient;
use crate::repository::{Signing, delegate, make};
use crate::rounds::{Rounds, Turn, progress};
use crate::ssh_agent::{self, SshAgent};
use crate::table::Table;
use crate::{ROUNDS, TURN};

/// Documents in one request.
const BATCH: usize = 100;
/// Connections that the 64 clients share: the daemon takes 32 of one user.
const CONNECTIONS: usize = 8;

/// Measures the first rows.
pub(crate) fn measure(table: &mut Table) {
    progress("starting touchmarkd, ssh-agent and notary-signer");
    let daemon = Daemon::dev();
    let ca = Ca::new();
    let notary = Notary::start_in(Place::new(), &ca);
    let agent = SshAgent::start();
    let [mut one, mut eight, mut many] = [1, 8, 64].map(|clients| vault(&daemon, clients));
    let mut empty = Load::new(|| async { vec![Empty(connect(daemon.socket()).await.unwrap())] });
    let mut batch = Load::new(|| async {
        let channel = connect(daemon.socket()).await.unwrap();
        let mut made = make(&channel, "example.com/bench/batch").await;
        let roles = delegate(&channel, &mut made, BATCH).await;
        vec![Signing::new(channel, &made.gun, roles).await]
    });
    let mut signer = Load::new(|| NotaryClient::connect(&ca, notary.signer_port(), 8));
    let [mut ssh_one, mut ssh_eight] = [1, 8].map(|clients| agent.clients(clients));
    let mut p256 = InProcess::new();
    let contenders: [(&'static str, Turn<'_>); 9] = [
        ("touchmark, 1 client", Box::new(|| one.rate(TURN))),
        ("ssh-agent, 1 client", Box::new(|| ssh_agent::rate(&mut ssh_one, TURN))),
        ("empty, 1 client", Box::new(|| empty.rate(TURN))),
        ("touchmark, 8 clients", Box::new(|| eight.rate(TURN))),
        ("ssh-agent, 8 clients", Box::new(|| ssh_agent::rate(&mut ssh_eight, TURN))),
        ("notary-signer, 8 clients", Box::new(|| signer.rate(TURN))),
        ("touchmark, 64 clients", Box::new(|| many.rate(TURN))),
        ("p256 in-process", Box::new(|| p256.rate(TURN))),
        ("touchmark, 100 documents", Box::new(|| batch.rate(TURN))),
    ];
    let rounds = Rounds::run(ROUNDS, &mut { contenders });
    table.rates("ssh-1", &rounds, "touchmark, 1 client", "ssh-agent, 1 client");
    table.rates("empty-1", &rounds, "empty, 1 client", "ssh-agent, 1 client");
    table.rates("ssh-8", &rounds, "touchmark, 8 clients", "ssh-agent, 8 clients");
    table.rates("notary-signer-8", &rounds, "touchmark, 8 clients", "notary-signer, 8 clients");
    table.rates("p256-64", &rounds, "touchmark, 64 clients", "p256 in-process");
    table.rates("p256-100", &rounds, "touchmark, 100 documents", "p256 in-process");
}

/// Clients of the daemon, each with a repository and a key of its own.
fn vault(daemon: &Daemon, count: usize) -> Load<Signing<Targets>> {
    Load::new(|| async {
        let mut channels: Vec<Channel> = Vec::new();
        for _ in 0..count.min(CONNECTIONS) {
            channels.push(connect(daemon.socket()).await.unwrap());
        }
        let mut clients = Vec::with_capacity(count);
        for (number, channel) in channels.iter().cycle().take(count).enumerate() {
            let made = make(channel, &format!("example.com/bench/{count}/{number}")).await;
            clients.push(Signing::new(channel.clone(), &made.gun, vec![made.targets]).await);
        }
        clients
    })
}
