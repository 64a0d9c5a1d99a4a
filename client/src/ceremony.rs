//! Offline root ceremonies: the files that travel on a stick, and the checks that everybody makes of them. A plan holds
//! exact documents; whoever reads it believes the documents, not what stands beside them. `cmd::ceremony` has the steps.
//!
//! `design` makes the next root from what is wanted; `plan` is the file of what is to be signed; `item` one repository of
//! it, checked from its documents; `quorum` who has to sign; `fingerprint` what people compare; `file` how files are
//! written whole or not at all; `growing` how one grows entry by entry; `transcript` what one signer did, with the
//! signatures; `entry` why an entry of those cannot be taken; `published` what servers have; `keyholder` what the holder of a root key hands over; `fleet` which
//! repositories; `words` and `needs` what a plan changes and whom it needs; `rehearsal` what is made up; `assembly` how
//! signatures of several people become root files; `record` all of a ceremony in one file; `vouched` what YubiKeys say
//! of their keys.
//!
//! `judge` tells years later whether it was so, by published roots (`anchors`); `report` is the page to print.
pub mod anchors;
pub mod assembly;
pub mod design;
pub mod entry;
pub mod file;
pub mod fingerprint;
pub mod fleet;
pub mod growing;
pub mod item;
pub mod judge;
pub mod keyholder;
pub mod needs;
pub mod plan;
pub mod published;
pub mod quorum;
pub mod record;
pub mod rehearsal;
pub mod report;
#[cfg(test)]
pub(crate) mod testing;
mod text;
pub mod transcript;
pub mod vouched;
pub mod words;

/// What files of ceremonies say that made them.
pub const TOOL: &str = concat!("touchmark ", env!("CARGO_PKG_VERSION"));
