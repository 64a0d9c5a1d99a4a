//! `doctor`: looks for what is wrong here and names the fix. What it prints is safe to paste into a public ticket:
//! no user name, no home folder, no serial number, no name of a repository or server.
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Instant, shown};

use super::{status, token};
use crate::args::{DoctorArgs, PinArgs};
use crate::context::Ctx;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::image::Image;
use crate::prompt::Prompter;
use crate::reader;

/// Digits in a row that may be a serial number.
const SERIAL: usize = 6;
/// The first firmware of YubiKeys that tells what is on them.
const TELLS: (u32, u32) = (5, 3);
const YUBIKEY: &str = "yubikey";
/// Nobody ran this program before it was written (1 January 2026): such a clock is wrong.
const EARLIEST: i64 = 1_767_225_600;
/// How far ahead of this clock the daemon may have started.
const SKEW: Duration = Duration::from_secs(300);

/// How one thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Worth,
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    detail: String,
    fix: Option<String>,
    reason: Reason,
}

impl Finding {
    fn good(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Good, detail: detail.into(), fix: None, reason: Reason::Internal }
    }

    fn worth(what: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into());
        Self { what, verdict: Verdict::Worth, detail: detail.into(), fix, reason: Reason::Internal }
    }

    fn bad(what: &'static str, reason: Reason, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Bad, detail: detail.into(), fix: Some(fix.into()), reason }
    }

    fn of(what: &'static str, error: &Error) -> Self {
        let fix = error.hint.clone().unwrap_or_else(|| "touchmark status".to_owned());
        Self::bad(what, error.reason, error.message.clone(), fix)
    }
}

/// Looks at everything and prints one line each.
///
/// # Errors
/// The first thing that is wrong, with its own exit code.
pub async fn run(ctx: &Ctx, args: DoctorArgs) -> Result<(), Error> {
    let image = args.image.as_deref().map(Image::parse).transpose()?;
    let mut findings = vec![clock(ctx.now)];
    match Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await {
        Err(error) => findings.push(Finding::of("daemon", &error)),
        Ok(daemon) => findings.extend(daemon_findings(ctx.now, daemon.status())),
    }
    if let Some(image) = &image {
        findings.push(registry(ctx, image).await);
        findings.push(notary(ctx, image).await);
    }
    let private = Private::of(ctx, image.as_ref());
    for finding in &mut findings {
        finding.detail = private.hide(&finding.detail);
        finding.fix = finding.fix.as_deref().map(|fix| private.hide(fix));
    }
    let lines: Vec<String> = findings.iter().map(in_words).collect();
    let document: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "what": finding.what,
                "verdict": word(finding.verdict),
                "detail": finding.detail,
                "fix": finding.fix,
            })
        })
        .collect();
    ctx.out.answer(&lines.join("\n"), &json!({ "findings": document }))?;
    match findings.into_iter().find(|finding| finding.verdict == Verdict::Bad) {
        None => Ok(()),
        Some(finding) => {
            let error = Error::new(finding.reason, format!("{}: {}", finding.what, finding.detail));
            Err(match finding.fix {
                Some(fix) => error.hint(fix),
                None => error,
            })
        }
    }
}

fn clock(now: Instant) -> Finding {
    if now.unix() < EARLIEST {
        return Finding::bad("clock", Reason::Usage, format!("it is {now} here"), "timedatectl set-ntp true");
    }
    Finding::good("clock", now.to_string())
}

fn daemon_findings(now: Instant, found: &v1::StatusResponse) -> Vec<Finding> {
    let mut findings = vec![Finding::good("daemon", format!("touchmarkd {}", shown(&found.version)))];
    if Instant::from_unix(found.started_unix) > now.plus(SKEW) {
        let detail = "touchmarkd started in the future: its clock or this one is wrong";
        findings.push(Finding::bad("clock", Reason::Usage, detail, "timedatectl set-ntp true"));
    }
    if found.dev {
        findings.push(Finding::worth(
            "state",
            "made by --dev",
            "for real signatures run touchmarkd with a configuration",
        ));
    }
    findings.extend(found.tokens.iter().map(one_token));
    if let Some(vault) = &found.vault {
        findings.extend(memory(vault));
    }
    findings.extend(
        found
            .warnings
            .iter()
            .map(|text| Finding::worth("warning", shown(text).to_string(), "touchmark status")),
    );
    if let Some(next) = status::next_step(found) {
        findings.push(Finding::worth("set-up", "not finished", next));
    }
    findings
}

fn one_token(token: &v1::Token) -> Finding {
    let state = token::presence(token.presence());
    let (name, is_yubikey) = (shown(&token.name), token.kind == YUBIKEY);
    // The daemon's own words: what is wrong; what to do.
    let (why, fix) = match token.detail.split_once("; ") {
        Some((why, fix)) => (why, Some(without_serials(&shown(fix).to_string()))),
        None => (token.detail.as_str(), None),
    };
    let detail = if why.is_empty() {
        format!("{name} ({}): {state}", shown(&token.kind))
    } else {
        format!("{name} ({}): {state}: {}", shown(&token.kind), without_serials(&shown(why).to_string()))
    };
    let bad = |reason, usual: &str| {
        Finding::bad("token", reason, detail.clone(), fix.clone().unwrap_or_else(|| usual.to_owned()))
    };
    match token.presence() {
        v1::TokenPresence::Present => present(token, detail),
        v1::TokenPresence::Opening | v1::TokenPresence::Unspecified => {
            Finding::worth("token", detail, "touchmark status --watch")
        }
        v1::TokenPresence::Absent if is_yubikey => bad(
            Reason::TokenNotPresent,
            "plug it in; if it is, look whether `serial` of this [[token]] is the number printed on it, and whether \
             `pcsc_scan` shows its reader",
        ),
        v1::TokenPresence::Absent => {
            bad(Reason::TokenNotPresent, "plug it in, or check token-label or serial")
        }
        v1::TokenPresence::Mismatch => bad(
            Reason::TokenMismatch,
            "plug in the token that was enrolled, or enrol the new one under another name",
        ),
        v1::TokenPresence::Failed if is_yubikey => {
            bad(Reason::TokenFailed, "unplug it and plug it in again; touchmark status --watch")
        }
        v1::TokenPresence::Failed => {
            bad(Reason::TokenFailed, "check module and env of this [[token]]: touchmarkd check")
        }
    }
}

/// A token that is there: can it be used, and by its owner alone?
fn present(token: &v1::Token, detail: String) -> Finding {
    let (name, is_yubikey) = (shown(&token.name), token.kind == YUBIKEY);
    if token.pin_state == "locked" {
        let fix = match is_yubikey {
            true => "ykman piv access unblock-pin, with the PUK (or yubico-piv-tool -a unblock-pin)",
            false => "unblock it with the tool of its maker (PUK or SO PIN)",
        };
        return Finding::bad("token", Reason::PinLocked, format!("{detail}; its PIN is locked"), fix);
    }
    if !token.factory_values.is_empty() {
        let which = shown(&token.factory_values.join(", ")).to_string();
        let detail =
            format!("{detail}; as the factory sets it for every one, and known to everybody: {which}");
        return Finding::bad("token", Reason::TokenNotReady, detail, format!("touchmark token init {name}"));
    }
    if is_yubikey && version(&token.firmware).is_some_and(|version| version < TELLS) {
        let detail = format!(
            "{detail}; its firmware {} does not tell which slots are in use: it signs, and no key is made on it",
            shown(&token.firmware)
        );
        return Finding::worth("token", detail, "a YubiKey with firmware 5.3 or later for new keys");
    }
    if token.pin_state == "final" {
        let fix = format!("touchmark unlock {name}, with the right PIN: it gives all tries back");
        return Finding::worth("token", format!("{detail}; one more wrong PIN locks it"), fix);
    }
    Finding::good("token", detail)
}

/// Major and minor.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Numbers that are as long as a serial number are nobody's business.
fn without_serials(text: &str) -> String {
    let (mut out, mut digits) = (String::new(), String::new());
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        out.push_str(if digits.len() < SERIAL { &digits } else { "SERIAL" });
        digits.clear();
        out.extend(Some(letter).filter(|letter| *letter != '\0'));
    }
    out
}

fn memory(vault: &v1::VaultStatus) -> Vec<Finding> {
    let used = format!("{} KiB locked ({})", vault.locked_bytes / 1024, shown(&vault.memory));
    let left = vault.locked_limit.saturating_sub(vault.locked_bytes);
    if vault.locked_limit != 0 && left < 64 * 1024 {
        let detail = format!("{used} of {} KiB allowed", vault.locked_limit / 1024);
        let fix = "raise RLIMIT_MEMLOCK: LimitMEMLOCK=8M in the unit, or `ulimit -l 8192`";
        return vec![Finding::worth("memlock", detail, fix)];
    }
    vec![Finding::good("memlock", used)]
}

async fn registry(ctx: &Ctx, image: &Image) -> Finding {
    let tag = match image.tag_or_latest() {
        Ok(tag) => tag,
        Err(error) => return Finding::of("registry", &error),
    };
    match ctx.registry(image).manifest(&crate::registry::Reference::Tag(tag)).await.map_err(Error::from) {
        Ok(_) => Finding::good("registry", "answers, and has the tag"),
        Err(error) if error.reason == Reason::TagNotFound => Finding::good("registry", "answers"),
        Err(error) => Finding::of("registry", &error),
    }
}

async fn notary(ctx: &Ctx, image: &Image) -> Finding {
    match reader::read(ctx, image).await {
        Ok(view) if view.freshness == reader::Freshness::Server => {
            Finding::good("notary", "answers, and verifies")
        }
        Ok(_) => Finding::bad(
            "notary",
            Reason::TrustServerUnreachable,
            "does not answer; only cached trust data is there",
            "check --trust-server and the network",
        ),
        Err(error) if error.reason == Reason::NoTrustData => {
            Finding::good("notary", "answers; no trust data yet")
        }
        Err(error) => Finding::of("notary", &error),
    }
}

fn in_words(finding: &Finding) -> String {
    let line = format!("{:<5} {:<9} {}", word(finding.verdict), finding.what, finding.detail);
    match &finding.fix {
        Some(fix) => format!("{line}\n                fix: {fix}"),
        None => line,
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Worth => "note",
        Verdict::Bad => "WRONG",
    }
}

/// What must not stand in a public ticket, with what stands there instead.
struct Private(Vec<(String, &'static str)>);

impl Private {
    fn of(ctx: &Ctx, image: Option<&Image>) -> Self {
        let mut words = Vec::new();
        if let Some(image) = image {
            words.push((image.gun().to_string(), "IMAGE"));
            words.push((image.familiar().to_owned(), "IMAGE"));
            words.push((image.host().to_string(), "REGISTRY"));
            if let Ok(notary) = ctx.notary(image) {
                words.push((notary.server().to_string(), "TRUST-SERVER"));
                words.extend(
                    notary.server().join("").host_str().map(|host| (host.to_owned(), "TRUST-SERVER")),
                );
            }
        }
        let home = ctx.environment.home.as_deref().and_then(Path::to_str);
        words.extend(home.filter(|home| home.len() > 1).map(|home| (home.to_owned(), "~")));
        let runtime = ctx.environment.runtime_dir.as_deref().and_then(Path::to_str);
        words.extend(runtime.map(|runtime| (runtime.to_owned(), "$XDG_RUNTIME_DIR")));
        // The longest first: a host is a part of an image's name.
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        Self(words)
    }

    fn hide(&self, text: &str) -> String {
        self.0
            .iter()
            .filter(|(word, _)| !word.is_empty())
            .fold(text.to_owned(), |text, (word, instead)| text.replace(word.as_str(), instead))
    }
}

#[cfg(test)]
mod tests;
