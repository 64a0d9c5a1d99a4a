//! The report of a ceremony, for the auditor's folder: one page of A4 that prints without anything else. No script,
//! nothing from elsewhere. It is written of a record in which everything fits, and of no other.
mod html;
mod steps;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use touchmark_tuf::{Instant, KeyId, Sha256Digest};

use self::html::{clip, safe};
use super::judge::{Anchor, Judged, UNSIGNED, Verdict};
use super::plan::Occasion;
use super::transcript::{Device, Said};
use super::{fingerprint, words};

const STYLE: &str = include_str!("report/style.css");
/// How many signers have a line of their own.
const SIGNERS: usize = 4;
/// How many kinds of changes are told.
const KINDS: usize = 2;
/// How many lines of one kind of change are told.
const LINES: usize = 7;
/// How many repositories of one kind are named.
const NAMES: usize = 3;
/// The most characters of the name of a repository, and of a line about what changes.
const NAME: usize = 80;
const LINE: usize = 110;
/// The most characters of one sentence.
const SENTENCE: usize = 160;

/// The page. `record` is the digest of the record's file, `now` when it was judged.
#[must_use]
pub fn page(verdict: &Verdict<'_>, record: &Sha256Digest, now: Instant) -> String {
    let plan = &verdict.record.plan;
    let title = safe(&clip(&plan.title, 100));
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let rehearsal = match plan.occasion {
        Occasion::Earnest => "",
        Occasion::Rehearsal => {
            "<p class=\"rehearsal\">REHEARSAL: made-up repositories; nothing of it was or can be published</p>\n"
        }
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Root ceremony: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>Root ceremony: {title}</h1>\n<p>Planned {}; this report was made {} by {}</p></header>\n\
         {rehearsal}{}{}{}{}{}</main>\n</body>\n</html>\n",
        safe(&plan.made.to_string()),
        safe(&now.to_string()),
        safe(super::TOOL),
        changes(verdict),
        signers(verdict),
        steps::section(verdict),
        checks(verdict, record),
        by_hand(verdict),
    )
}

/// How the published roots relate to the record, one line for each way.
#[must_use]
pub fn anchors_in_words(verdict: &Verdict<'_>) -> Vec<String> {
    let all = verdict.anchors.len();
    let count = |is: fn(&Anchor) -> bool| verdict.anchors.iter().filter(|anchor| is(anchor)).count();
    let ways: [(usize, &str); 5] = [
        (count(|anchor| *anchor == Anchor::Same), "the published root is the one signed here, to the byte"),
        (
            count(|anchor| matches!(anchor, Anchor::Later(_))),
            "a later root is published, which still describes the root keys of this one",
        ),
        (
            count(|anchor| *anchor == Anchor::Before),
            "not published yet: the root before is the published one",
        ),
        (count(|anchor| *anchor == Anchor::Absent), "not compared: no published root was given"),
        (
            count(|anchor| *anchor == Anchor::MadeUp),
            "a rehearsal: nothing is published, so nobody outside of this file vouches for the keys in it",
        ),
    ];
    let ways = ways.into_iter().filter(|(count, _)| *count > 0);
    ways.map(|(count, way)| format!("{count} of {all} repositories: {way}")).collect()
}

fn changes(verdict: &Verdict<'_>) -> String {
    let plan = &verdict.record.plan;
    let groups = words::folded(plan, &verdict.items);
    let mut lines = Vec::new();
    for group in groups.iter().take(KINDS) {
        let guns: Vec<&str> = group.items.iter().map(|item| item.repository.gun.as_str()).collect();
        let named: Vec<String> = guns.iter().take(NAMES).map(|gun| clip(gun, NAME)).collect();
        let mut names = safe(&named.join(", "));
        if guns.len() > NAMES {
            let list = Sha256Digest::of(format!("{}\n", guns.join("\n")).as_bytes());
            names += &format!(
                " and {} more; SHA-256 of the list, one a line: <span class=\"id\">{list}</span>",
                guns.len() - NAMES
            );
        }
        let told: Vec<String> = group.lines.iter().take(LINES).map(|line| safe(&clip(line, LINE))).collect();
        lines.push(format!("<li><b>{}: {names}</b><br>{}</li>", guns.len(), told.join("; ")));
    }
    if groups.len() > KINDS {
        lines.push(format!("<li>and {} more kinds of changes: see the record</li>", groups.len() - KINDS));
    }
    let count = verdict.items.len();
    let plural = if count == 1 { "repository" } else { "repositories" };
    format!(
        "<section class=\"changes\"><h2>What was changed: {count} {plural}</h2><ul>{}</ul></section>\n",
        lines.join("\n")
    )
}

fn signers(verdict: &Verdict<'_>) -> String {
    let mut rows = String::new();
    for judged in verdict.shares.iter().take(SIGNERS) {
        let device = device(judged);
        let text = |of: fn(&Device) -> &str| device.map(|device| clip(of(device), 40)).unwrap_or_default();
        let token = format!(
            "{} {}, serial {}, firmware {}",
            text(|device| &device.token_kind),
            text(|device| &device.token),
            text(|device| &device.serial),
            text(|device| &device.firmware)
        );
        let names: Vec<String> =
            keys(judged).iter().map(|key| words::name(&verdict.record.plan, key)).collect();
        let ids: Vec<String> = keys(judged).iter().map(ToString::to_string).collect();
        rows += &format!(
            "<tr><td class=\"who\">{}</td><td>{}; {} signed, transcript sealed; {}<br><span class=\"id\">{}</span></td></tr>\n",
            safe(&clip(&names.join(", "), 50)),
            safe(&token),
            judged.share.signed().count(),
            safe(&clip(&judged.vouched.in_words(), SENTENCE)),
            safe(&clip(&ids.join(" "), 132)),
        );
    }
    if verdict.shares.len() > SIGNERS {
        rows += &format!("<tr><td colspan=\"2\">and {} more</td></tr>\n", verdict.shares.len() - SIGNERS);
    }
    format!("<section class=\"signers\"><h2>Who signed, with what</h2><table>{rows}</table></section>\n")
}

fn checks(verdict: &Verdict<'_>, record: &Sha256Digest) -> String {
    let plan = &verdict.record.plan_digest;
    let mut lines = vec![format!(
        "Everything fits: the chain of {} entries, the plan, {} transcripts with their seals, {} roots and each \
         signature in them.",
        verdict.record.entries.len(),
        verdict.shares.len(),
        verdict.items.len()
    )];
    lines.extend(anchors_in_words(verdict));
    let lines: Vec<String> = lines.iter().map(|line| format!("<li>{}</li>", safe(line))).collect();
    let print =
        |digest: &Sha256Digest| format!("{} <span class=\"id\">{digest}</span>", fingerprint::words(digest));
    format!(
        "<section><h2>Result of the checks</h2><ul>{}</ul><p class=\"small\">{}.</p></section>\n\
         <section><h2>Fingerprints</h2><p>Plan: {}</p><p>Record: {}</p></section>\n",
        lines.join(""),
        safe(UNSIGNED),
        print(plan),
        print(record),
    )
}

fn by_hand(verdict: &Verdict<'_>) -> String {
    let plan = &verdict.record.plan;
    let mut names: Vec<String> = Vec::new();
    for judged in verdict.shares.iter().take(SIGNERS) {
        names.push(clip(&words::name(plan, &judged.share.begun.key), 40));
    }
    names.extend(["Witness".to_owned(), "Auditor".to_owned()]);
    let cell = |name: &String| format!("<td>{}</td><td></td>", safe(name));
    let rows: Vec<String> = names
        .chunks(2)
        .map(|pair| format!("<tr>{}</tr>", pair.iter().map(cell).collect::<Vec<_>>().join("")))
        .collect();
    format!(
        "<section class=\"sign\"><h2>Signed by hand (name, date)</h2><table>{}</table></section>\n",
        rows.join("\n")
    )
}

fn device(judged: &Judged) -> Option<&Device> {
    judged.share.entries.iter().find_map(|(_, said)| match said {
        Said::Device(device) => Some(device),
        _ => None,
    })
}

fn keys(judged: &Judged) -> BTreeSet<KeyId> {
    judged.share.signed().map(|(_, signed)| signed.key).chain([judged.share.begun.key]).collect()
}

#[cfg(test)]
mod tests;
