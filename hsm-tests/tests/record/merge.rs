//! What several people signed in several places is put together, or nothing is written and it is said why.

use std::path::{Path, PathBuf};

use serde_json::Value;
use touchmark_proto::transcript::{Chain, Moment};

use crate::stage::{Desk, Holder, TWO, count, entries, kinds, refused};

/// The plan of a rehearsal for which alice and bob both have to sign, and what they signed.
pub(crate) struct Rehearsal {
    pub(crate) desk: Desk,
    pub(crate) plan: PathBuf,
    pub(crate) shares: [PathBuf; 2],
    _holders: [Holder; 2],
}

impl Rehearsal {
    pub(crate) fn of(images: &[&str], more: &[&str]) -> Self {
        let (holders, desk) = (["alice", "bob"].map(Holder::new), Desk::new());
        let keys = holders.each_ref().map(|holder| holder.key_file(&desk, images, &["--rehearsal"]));
        let more = [&["--threshold", "2"], more].concat();
        let plan = desk.plan("p.plan", images, &[&keys[0], &keys[1]], &more);
        let shares = holders.each_ref().map(|holder| {
            let out = desk.file(&format!("{}.transcript", holder.name));
            holder.sign(&plan, &out).ok();
            out
        });
        Self { desk, plan, shares, _holders: holders }
    }

    pub(crate) fn merge(&self, shares: &[&Path], out: &Path) -> hsm_tests::cli::Cli {
        self.desk.touchmark(&["ceremony", "merge"]).arg(&self.plan).args(shares).arg("--out").arg(out)
    }

    pub(crate) fn record(&self) -> PathBuf {
        let record = self.desk.file("r.ceremony");
        self.merge(&[&self.shares[0], &self.shares[1]], &record).ok();
        record
    }

    pub(crate) fn run(&self, step: &str, record: &Path) -> hsm_tests::cli::Cli {
        self.desk.touchmark(&["ceremony", step]).arg(record)
    }
}

#[test]
fn shares_are_merged_and_who_is_missing_or_came_twice_is_named() {
    let rehearsal = Rehearsal::of(TWO, &[]);
    let [alice, bob] = &rehearsal.shares;
    let out = rehearsal.desk.file("r.ceremony");

    let alone = rehearsal.merge(&[alice], &out).run();
    refused(&alone, 1, "CEREMONY_INCOMPLETE", "rehearsal.invalid/team/one and 1 more: 1 more of bob (");
    let copy = rehearsal.desk.file("copy.transcript");
    std::fs::copy(alice, &copy).unwrap();
    let twice = rehearsal.merge(&[alice, &copy], &out).run();
    refused(&twice, 1, "CEREMONY_INCOMPLETE", "1 more of bob (");
    twice.says("copy.transcript is the same as alice.transcript: that counts once");

    let text = std::fs::read_to_string(bob).unwrap();
    let bad = rehearsal.desk.file("bad.transcript");
    let unsealed: String =
        text.lines().take(text.lines().count() - 1).map(|line| format!("{line}\n")).collect();
    for (changed, says) in [
        (text.replacen("\"yes\"", "\"no!\"", 1), "one of the two was changed"),
        (unsealed, "not sealed"),
        (text[..text.len() - 9].to_owned(), "cut off"),
    ] {
        std::fs::write(&bad, changed).unwrap();
        refused(&rehearsal.merge(&[alice, &bad], &out).run(), 2, "CEREMONY_INVALID", says);
    }
    let other = Rehearsal::of(&TWO[..1], &[]);
    let stranger = other.merge(&[alice], &out).run();
    refused(&stranger, 2, "CEREMONY_INVALID", "it is about the plan");
    assert!(!out.exists(), "nothing is written before everything is there");

    let merged = rehearsal.merge(&[alice, &copy, bob], &out).ok().json();
    assert_eq!(merged["counted_once"].as_array().map(Vec::len), Some(1));
    assert_eq!(kinds(&out), ["merged", "share", "share", "completed", "completed"]);
    refused(&rehearsal.merge(&[alice, bob], &out).run(), 2, "USAGE", "is there already");
}

/// Not by asking nicely, and not by changing what the files say.
#[test]
fn a_rehearsal_is_checked_to_the_end_and_never_sent() {
    let rehearsal = Rehearsal::of(TWO, &[]);
    let record = rehearsal.record();
    let done = rehearsal.run("publish", &record).arg("--yes").ok().json();
    assert_eq!(done["published"], Value::Array(Vec::new()));
    assert_eq!((count(&record, "rehearsed"), count(&record, "published")), (2, 0));
    let whole = rehearsal.run("verify", &record).ok().json();
    assert_eq!((&whole["whole"], &whole["rehearsal"]), (&Value::Bool(true), &Value::Bool(true)));

    // Everything in it that says so is changed, and every hash made anew.
    let earnest = rehearsal.desk.file("earnest.ceremony");
    std::fs::write(&earnest, in_earnest(&record)).unwrap();
    refused(&rehearsal.run("publish", &earnest).arg("--yes").run(), 5, "REHEARSAL_ONLY", "made up");
    assert_eq!(count(&earnest, "published"), 0);
}

fn in_earnest(record: &Path) -> String {
    use touchmark::ceremony::plan::{Occasion, Plan};
    let mut chain = Chain::default();
    let mut text = String::new();
    for entry in entries(record).iter().take(5) {
        let mut fields = entry.as_object().unwrap().clone();
        let kind = fields["kind"].as_str().unwrap().to_owned();
        if kind == "merged" {
            let plan = Plan::parse(fields["plan"].as_str().unwrap().as_bytes()).unwrap();
            let plan = Plan { occasion: Occasion::Earnest, ..plan };
            fields["plan"] = String::from_utf8(plan.write()).unwrap().into();
            fields["rehearsal"] = false.into();
        }
        fields.retain(|name, _| !["seq", "previous", "kind", "time", "uptime"].contains(&name.as_str()));
        text += &(chain.append(Moment { time_unix_ms: 0, uptime_ms: 0 }, &kind, fields) + "\n");
    }
    text
}
