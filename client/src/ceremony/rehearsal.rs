//! What a rehearsal makes up: keys that stand for those of servers and vaults, and the published state that an earlier
//! rehearsal left behind. Nobody has the private keys: the points are hashes of words, as far as those lie on the curve.
use std::collections::BTreeMap;
use std::path::Path;

use touchmark_proto::reason::Reason;
use touchmark_proto::transcript;
use touchmark_tuf::{Gun, PublicKey, RoleName, Root};

use super::file;
use super::plan::{Occasion, Plan};
use crate::error::Error;

/// x and y, as hex: SHA-256 of "touchmark rehearsal WORD 0" (1 for the second one) is x, and y a root of the curve's equation.
const TARGETS: [&str; 2] = [
    "f611851680d76e085865b715d8e8a41c6b0babf83d932335766c7aeae9ab7eaa232df4e28dc123ab48d710fd0d6267414720129b6a8e440bd417d36aacd10fd3",
    "41a5a436e818daaa663d8b23a814419c27460e2e328fa1060a24aab65ef3bd0abca92d2771e3231d6644f16bcee601dfab16940ee11f0798e66e16f6ad3f70c5",
];
const SNAPSHOT: &str = "8fab582bc7194d3778df06bb4d354f94612b982e1d8582ead21a9e0e6b9b7d2a7f8dc23f67f9ac8a53945560520ea971d2f1233022c05f049a061b2ab4a73af6";
const TIMESTAMP: &str = "c14733d67d0960af863d68fe7fae18aa16d7b7793d2b63b1fee236ea77964015bc5c38fb789b27c58c1e2f8c21e6ad375cdae5b14aaade1fb0e11af26cface52";

/// A tagging key that `base` does not have.
#[must_use]
pub fn targets(base: Option<&Root>) -> PublicKey {
    let [one, other] = TARGETS.map(key);
    let has =
        |root: &Root| root.keys_of(&RoleName::Targets).any(|key| key.canonical_id() == one.canonical_id());
    if base.is_some_and(has) { other } else { one }
}

/// The snapshot key of the server that there is not.
#[must_use]
pub fn snapshot() -> PublicKey {
    key(SNAPSHOT)
}

/// Its timestamp key.
#[must_use]
pub fn timestamp() -> PublicKey {
    key(TIMESTAMP)
}

/// The root chains that would be published now if an earlier rehearsal had been published, by repository.
///
/// # Errors
/// `USAGE`: the record cannot be read. `CEREMONY_INVALID`: it is none. `REHEARSAL_ONLY`: it is in earnest.
pub fn left_by(record: &Path) -> Result<BTreeMap<Gun, Vec<Vec<u8>>>, Error> {
    let invalid = |why: String| {
        let message = format!("{} is not to be used: {why}", file::name(record));
        Error::new(Reason::CeremonyInvalid, message).hint("--from takes what touchmark ceremony merge wrote")
    };
    let text = String::from_utf8(file::read(record)?).map_err(|_| invalid("it is no text".to_owned()))?;
    let (entries, _) = transcript::read(&text).map_err(|why| invalid(why.to_string()))?;
    let plan =
        entries.first().filter(|entry| entry.kind == "merged").and_then(|entry| entry.fields.get("plan"));
    let plan = plan.and_then(|plan| plan.as_str()).ok_or_else(|| invalid("it holds no plan".to_owned()))?;
    let plan = Plan::parse(plan.as_bytes()).map_err(|why| invalid(format!("its plan: {why}")))?;
    if plan.occasion != Occasion::Rehearsal {
        let message = format!("{} is the record of a ceremony in earnest", file::name(record));
        return Err(Error::new(Reason::RehearsalOnly, message)
            .hint("touchmark ceremony plan without --rehearsal reads the trust server"));
    }
    let mut chains: BTreeMap<Gun, Vec<Vec<u8>>> = BTreeMap::new();
    let roots: BTreeMap<&Gun, &Vec<Vec<u8>>> =
        plan.repositories.iter().map(|one| (&one.gun, &one.roots)).collect();
    for entry in entries.iter().filter(|entry| entry.kind == "completed") {
        let field = |name| entry.fields.get(name).and_then(serde_json::Value::as_str);
        let gun = field("repository").and_then(|gun| gun.parse::<Gun>().ok());
        let (Some(gun), Some(new)) = (gun, field("file")) else {
            return Err(invalid(format!("entry {} cannot be read", entry.seq)));
        };
        let before = roots.get(&gun).ok_or_else(|| invalid(format!("{gun} is not in its plan")))?;
        let chain = before.iter().cloned().chain([new.as_bytes().to_vec()]).collect();
        chains.insert(gun, chain);
    }
    if chains.is_empty() {
        return Err(invalid("no root in it is complete".to_owned()));
    }
    Ok(chains)
}

fn key(hex: &str) -> PublicKey {
    let digit =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let mut point = [4; 65];
    for (byte, pair) in point.iter_mut().skip(1).zip(hex.as_bytes().chunks_exact(2)) {
        *byte = pair.iter().fold(0, |sum, one| sum << 4 | digit(*one));
    }
    PublicKey::from_p256_point(&point)
}
