//! The steps of a ceremony with their times, alike ones in one line.
use touchmark_proto::transcript::Entry;

use super::html::{clip, safe};
use crate::ceremony::growing::wall;
use crate::ceremony::judge::Verdict;
use crate::ceremony::record::Noted;
use crate::ceremony::transcript::{By, Said};

/// How many lines there is room for.
const ROWS: usize = 34;
/// The most characters of a question or an answer.
const WORDS: usize = 150;

/// One line.
struct Step {
    time: String,
    uptime: String,
    who: String,
    what: String,
    /// Entries of this kind in a row are told once, with their number.
    alike: Option<&'static str>,
    count: usize,
}

/// All steps: those of each signer, then those of the record.
pub(super) fn section(verdict: &Verdict<'_>) -> String {
    let mut steps: Vec<Step> = Vec::new();
    for judged in &verdict.shares {
        for (entry, said) in &judged.share.entries {
            add(&mut steps, step(entry, &judged.name, told(said)));
        }
    }
    for (entry, noted) in &verdict.record.entries {
        if let Some(what) = noted_in_words(noted) {
            add(&mut steps, step(entry, "record", what));
        }
    }
    let entries = verdict.record.entries.len()
        + verdict.shares.iter().map(|judged| judged.share.entries.len()).sum::<usize>();
    let rows: Vec<String> = steps.iter().take(ROWS).map(Step::row).collect();
    let more = match steps.len().saturating_sub(ROWS) {
        0 => "; this page shows what there is room for".to_owned(),
        more => format!("; here is no room for {more} steps more"),
    };
    format!(
        "<section class=\"steps\"><h2>Steps</h2><table><tr><th class=\"time\">wall clock</th>\
         <th class=\"up\">machine up, s</th><th class=\"who\">where</th><th>what</th></tr>\n{}</table></section>\n\
         <p class=\"small\">All {entries} entries with their times are in the record{more}.</p>\n",
        rows.join("\n")
    )
}

fn step(entry: &Entry, who: &str, (what, alike): (String, Option<&'static str>)) -> Step {
    let up = entry.moment.uptime_ms;
    Step {
        time: wall(&entry.moment).to_string(),
        uptime: format!("{}.{}", up / 1000, up % 1000 / 100),
        who: clip(who, 30),
        what,
        alike,
        count: 1,
    }
}

fn add(steps: &mut Vec<Step>, step: Step) {
    match steps.last_mut() {
        Some(last) if step.alike.is_some() && last.alike == step.alike && last.who == step.who => {
            last.count += 1;
        }
        _ => steps.push(step),
    }
}

impl Step {
    fn row(&self) -> String {
        let what = match self.alike {
            Some(alike) if self.count > 1 => format!("{} {alike}", self.count),
            _ => self.what.clone(),
        };
        format!(
            "<tr><td class=\"time\">{}</td><td class=\"up\">{}</td><td class=\"who\">{}</td><td>{}</td></tr>",
            safe(&self.time),
            safe(&self.uptime),
            safe(&self.who),
            safe(&what)
        )
    }
}

fn told(said: &Said) -> (String, Option<&'static str>) {
    match said {
        Said::Begun(begun) => {
            (format!("begun with {} and {}", clip(&begun.tool, 40), clip(&begun.daemon, 40)), None)
        }
        Said::Device(device) => {
            let words = device.attested.as_deref().unwrap_or("attestation not checked there");
            (format!("token {}: {}", clip(&device.token, 40), clip(words, WORDS)), None)
        }
        Said::Asked(asked) => {
            let by = match asked.by {
                By::Terminal => "typed",
                By::Flag => "given as a flag",
            };
            (
                format!("asked: {} Answer, {by}: {}", clip(&asked.question, WORDS), clip(&asked.answer, 60)),
                None,
            )
        }
        Said::Signed(signed) => {
            (format!("signed: {} version {}", signed.repository, signed.version), Some("roots signed"))
        }
        Said::Refused(refused) => (format!("refused: {}", clip(&refused.message, WORDS)), None),
        Said::Resumed(_) => ("gone on after an interruption".to_owned(), None),
        Said::Sealed(_) => ("sealed".to_owned(), None),
    }
}

fn noted_in_words(noted: &Noted) -> Option<(String, Option<&'static str>)> {
    let step = match noted {
        Noted::Merged(merged) => (format!("merged with {}", clip(&merged.tool, 40)), None),
        Noted::Share(_) => return None,
        Noted::Completed(one) => {
            (format!("complete: {} version {}", one.repository, one.version), Some("roots complete"))
        }
        Noted::Published(one) => (
            format!("published: {} version {} on {}", one.repository, one.version, clip(&one.server, 60)),
            Some("roots published, each read as a fresh client and as one with the old root"),
        ),
        Noted::Failed(one) => (
            format!("not published: {}: {}", one.repository, clip(&one.message, WORDS)),
            Some("publications failed"),
        ),
        Noted::Rehearsed(one) => {
            (format!("rehearsed: {} version {}", one.repository, one.version), Some("publications rehearsed"))
        }
        Noted::Finished(one) => (format!("publishing ended: {} of {}", one.published, one.of), None),
    };
    Some(step)
}
