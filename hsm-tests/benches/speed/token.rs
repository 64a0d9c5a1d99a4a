//! Signatures by a key on a SoftHSM token: next versions of real root documents, by the same road.

use hsm_tests::daemon::Daemon;
use touchmark_tuf::Root;

use crate::c_sign::CSign;
use crate::daemon::connect;
use crate::load::Load;
use crate::parsec::Parsec;
use crate::repository::{Signing, create_root_key, make};
use crate::rounds::{Rounds, Turn, progress};
use crate::table::{Found, Table};
use crate::{ROUNDS, TURN};

/// Clients at once.
const CLIENTS: usize = 8;
/// Keys on the fuller token.
const KEYS: usize = 100;
/// The name of the dev daemon's token.
const TOKEN: &str = "dev";

/// Measures the rows with a token.
pub(crate) fn measure(table: &mut Table) {
    progress("making tokens");
    let [daemon, full] = [Daemon::dev(), Daemon::dev()];
    let [mut eight, mut one] = [CLIENTS, 1].map(|clients| load(&daemon, clients));
    let dev = daemon.folder().join("dev");
    let mut bare = CSign::start(&dev.join("softhsm2.conf"), &dev.join("pin"));
    let mut hundred = load(&full, CLIENTS);
    add_keys(&full, KEYS - 1);
    let parsec = Parsec::start();
    let mut contenders: Vec<(&'static str, Turn<'_>)> = vec![
        ("touchmark, 8 clients", Box::new(|| eight.rate(TURN))),
        ("C_Sign", Box::new(|| bare.rate(TURN))),
        ("touchmark, 100 keys", Box::new(|| hundred.rate(TURN))),
    ];
    if let Some(parsec) = &parsec {
        contenders.push(("touchmark, 1 client", Box::new(|| one.rate(TURN))));
        contenders.push(("parsec, 1 client", Box::new(|| parsec.rate(1, TURN))));
        contenders.push(("parsec, 8 clients", Box::new(|| parsec.rate(CLIENTS, TURN))));
    }
    let rounds = Rounds::run(ROUNDS, &mut contenders);
    table.rates("token-8", &rounds, "touchmark, 8 clients", "C_Sign");
    table.rates("token-100", &rounds, "touchmark, 100 keys", "touchmark, 8 clients");
    if parsec.is_some() {
        table.rates("parsec-1", &rounds, "touchmark, 1 client", "parsec, 1 client");
        table.rates("parsec-8", &rounds, "touchmark, 8 clients", "parsec, 8 clients");
    } else {
        for row in ["parsec-1", "parsec-8"] {
            table.add(row, Found::NotRun("parsec is not installed: PARSEC=build make bench".to_owned()));
        }
    }
}

/// Clients that sign with the token's root key, each for a repository of its own.
fn load(daemon: &Daemon, clients: usize) -> Load<Signing<Root>> {
    Load::new(|| async {
        let mut all = Vec::with_capacity(clients);
        for number in 0..clients {
            let channel = connect(daemon.socket()).await.unwrap();
            let made = make(&channel, &format!("example.com/bench/root-{clients}/{number}")).await;
            all.push(Signing::new(channel, &made.gun, vec![made.root]).await);
        }
        all
    })
}

fn add_keys(daemon: &Daemon, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = connect(daemon.socket()).await.unwrap();
        for number in 0..count {
            progress(&format!("making key {} of {count} on a token", number + 1));
            create_root_key(&channel, TOKEN, &format!("spare {number}"), "").await;
        }
    });
}
