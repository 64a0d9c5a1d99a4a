//! Another program that has a card: says so, and lets go of it when its stdin closes.
//! Usage: card-holder exclusively|in-a-transaction READER

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helper"
)]

use std::ffi::CString;
use std::io::Read as _;

use pcsc::{Context, Disposition, Protocols, Scope, ShareMode};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [how, reader] = words.as_slice() else { panic!("how, and the card in which reader") };
    let context = Context::establish(Scope::System).unwrap();
    let reader = CString::new(reader.as_str()).unwrap();
    let share = if how == "exclusively" { ShareMode::Exclusive } else { ShareMode::Shared };
    let mut card = context.connect(&reader, share, Protocols::T1).unwrap();
    if how == "in-a-transaction" {
        let transaction = card.transaction().unwrap();
        until_told();
        transaction.end(Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
    } else {
        until_told();
    }
    card.disconnect(Disposition::LeaveCard).map_err(|(_, error)| error).unwrap();
}

fn until_told() {
    println!("held");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
