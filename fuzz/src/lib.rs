#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a promise that does not hold must end the run, with its message"
)]
//! What must hold for every input of every parser, one function a target: any bytes go in, and a broken promise
//! panics. `make fuzz` looks for such bytes; `tests/corpora.rs` runs what it kept, without a fuzzer.

mod ceremonies;
mod documents;
mod identities;
mod input;
mod json;
mod keyfiles;
mod names;
mod pipes;
mod place;
mod pulled;
mod reader;
mod sealed;
mod settings;
mod wire;

use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;
use touchmarkd::vault::{Locked, MemoryKind};

pub use ceremonies::ceremonies;
pub use documents::documents;
pub use identities::identities;
pub use keyfiles::keyfiles;
pub use names::names;
pub use pipes::pipes;
pub use pulled::pulled;
pub use reader::reader;
pub use sealed::sealed;
pub use settings::settings;
pub use wire::wire;

use input::Input;

/// A target: any bytes go in, and a broken promise panics.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 11] = [
    ("ceremonies", ceremonies),
    ("documents", documents),
    ("identities", identities),
    ("keyfiles", keyfiles),
    ("names", names),
    ("pipes", pipes),
    ("pulled", pulled),
    ("reader", reader),
    ("sealed", sealed),
    ("settings", settings),
    ("wire", wire),
];

/// Locked memory for one process.
fn memory() -> Arc<Locked> {
    static MEMORY: LazyLock<Arc<Locked>> =
        LazyLock::new(|| Locked::open(Some(MemoryKind::Mlock), 1).unwrap());
    Arc::clone(&MEMORY)
}

/// One thread, and a clock for deadlines that nothing here reaches.
fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());
    &RUNTIME
}
