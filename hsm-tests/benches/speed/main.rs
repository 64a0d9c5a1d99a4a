#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement: it talks, and what cannot be measured ends it with its message"
)]
//! `make bench`: every row of the README's section "Speed", in one run on one machine.
//!
//! The shipped release programs against their peers, all of them running at the same time and taking short turns, in
//! another order each round; ratios are taken within a round, and the median of the rounds counts. The daemon runs with
//! what `touchmarkd run --dev` gives it, which is what it does by default: each signature is decided on by the policy,
//! recorded in the durable ledger and audit (synced to the disk) and verified before it leaves. Nothing is switched off
//! for the measurement. A missed goal is no failure: the table says so.
//!
//! Usage: `scripts/bench.sh [--only ROW]... [--out FILE]`; a row brings along those that are measured with it.

mod c_sign;
mod commands;
mod daemon;
mod goal;
mod health;
mod in_process;
mod load;
mod machine;
mod notary_signer;
mod parsec;
mod repository;
mod rounds;
mod ssh_agent;
mod table;
mod token;
mod unary;
mod vault;
mod yubikey;

use std::path::PathBuf;
use std::time::Duration;

use table::Table;

/// Rounds of which the median counts.
const ROUNDS: usize = 7;
/// How long a contender's turn is.
const TURN: Duration = Duration::from_millis(700);

/// Rows that are measured together, and how.
type Part = (&'static [&'static str], fn(&mut Table));

const PARTS: [Part; 6] = [
    (&["ssh-1", "empty-1", "ssh-8", "notary-signer-8", "p256-64", "p256-100"], vault::measure),
    (&["token-8", "token-100", "parsec-1", "parsec-8"], token::measure),
    (&["yubikey-adds", "yubikey-ratio"], yubikey::measure),
    (&["start", "memory-100", "memory-10000"], daemon::measure),
    (&["sign-docker", "sign-notary", "verify"], commands::measure),
    (&["help", "size"], commands::measure_alone),
];

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut only, mut out) = (Vec::new(), None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            c_sign::CHILD => return c_sign::child(&PathBuf::from(args.next().unwrap())),
            "--only" => only.push(table::goal(&args.next().expect("--only ROW")).row),
            "--out" => out = Some(PathBuf::from(args.next().expect("--out FILE"))),
            "--bench" => {} // by `cargo bench`
            other => panic!("no such argument: {other}"),
        }
    }
    let mut table = Table::default();
    for (rows, measure) in PARTS {
        if only.is_empty() || rows.iter().any(|row| only.contains(row)) {
            let mut part = Table::default();
            measure(&mut part);
            print!("{}", part.text());
            table.extend(part);
        }
    }
    let machine = machine::line();
    println!("\n{machine}");
    if let Some(out) = out {
        std::fs::write(&out, table.markdown(&machine)).unwrap();
        println!("{}", out.display());
    }
}
