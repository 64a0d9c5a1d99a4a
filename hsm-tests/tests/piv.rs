//! The virtual YubiKey before judges: other people's programs, over a real pcscd, take it for a YubiKey.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "piv/library.rs"]
mod library;
#[path = "piv/modules.rs"]
mod modules;
#[path = "piv/notary.rs"]
mod notary;
#[path = "piv/removal.rs"]
mod removal;
#[path = "piv/shared.rs"]
mod shared;
#[path = "piv/tool.rs"]
mod tool;
