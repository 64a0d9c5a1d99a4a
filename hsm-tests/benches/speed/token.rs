//! Signatures by a key on a SoftHSM token: next versions of real root documents, by the same road.

use hsm_tests::daemon::Daemon;
use touchmark_tuf::Root;

use crate::c_sign::CSign;
use crate::daemon::connect;
use crate::load::Load;
use crate::repository::{Signing, create_root_key, make};
use crate::rounds::{Rounds, progress};
use crate::table::{Found, Table};
use crate::{ROUNDS, TURN};

const CLIENTS: usize = 8;
/// The name of the dev daemon's token.
const TOKEN: &str = "dev";

/// Measures the three rows with a token.
pub(crate) fn measure(table: &mut Table) {
    progress("making tokens");
    let [daemon, full] = [Daemon::dev(), Daemon::dev()];
    let dev = daemon.folder().join("dev");
    let mut bare = CSign::start(&dev.join("softhsm2.conf"), &dev.join("pin"));
    let mut of_one = load(&daemon, CLIENTS, 1);
    let mut alone = load(&daemon, 1, 1);
    let mut of_hundred = load(&full, CLIENTS, 100);
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            ("touchmark, 8 clients", Box::new(|| of_one.rate(TURN))),
            ("C_Sign loop", Box::new(|| bare.rate(TURN))),
            ("touchmark, 100 keys", Box::new(|| of_hundred.rate(TURN))),
            ("touchmark, 1 client", Box::new(|| alone.rate(TURN))),
        ],
    );
    let mut row = |row, ours, theirs| {
        table.rates(row, rounds.ratio(ours, theirs), rounds.of(ours), rounds.of(theirs));
    };
    row("token-8", "touchmark, 8 clients", "C_Sign loop");
    row("token-100", "touchmark, 100 keys", "touchmark, 8 clients");
    eprintln!("{:?}", rounds.of("touchmark, 1 client"));
    table.add("parsec-1", Found::NotRun("parsec is not here".to_owned()));
}

/// Clients that sign with the token's root key, each for a repository of its own.
fn load(daemon: &Daemon, clients: usize, keys: usize) -> Load<Signing<Root>> {
    Load::new(|| async {
        let channel = connect(daemon.socket()).await.unwrap();
        let mut all = Vec::with_capacity(clients);
        for number in 0..clients {
            let channel = connect(daemon.socket()).await.unwrap();
            let made = make(&channel, &format!("example.com/bench/{clients}/{number}")).await;
            all.push(Signing::new(channel, &made.gun, vec![made.root]).await);
        }
        for number in 1..keys {
            create_root_key(&channel, TOKEN, &format!("spare {number}")).await;
        }
        all
    })
}
