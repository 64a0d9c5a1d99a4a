//! A token helper whose token is in software and obeys a file of orders: for faults that real tokens cannot show.

use std::process::ExitCode;

#[cfg(feature = "libraries")]
fn main() -> ExitCode {
    use touchmarkd::token::fake::{FakeProvider, ORDERS};
    match std::env::var_os(ORDERS) {
        Some(orders) => touchmarkd::token::helper::main_with(move || FakeProvider::new(orders.into())),
        None => ExitCode::FAILURE,
    }
}

#[cfg(not(feature = "libraries"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
