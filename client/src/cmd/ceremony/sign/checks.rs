//! What has to hold before a token is asked for anything: each refusal says what is wrong and the way on.
use std::time::Duration;

use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{Instant, KeyId, RoleName, RootCertificate, Sha256Digest, shown};

use super::device;
use crate::args::CeremonySignArgs;
use crate::ceremony::item::Item;
use crate::ceremony::plan::{Occasion, Plan};
use crate::ceremony::transcript::{Asked, By};
use crate::ceremony::{file, fingerprint, needs, words};
use crate::context::Ctx;
use crate::error::Error;
use crate::prompt::{self, Consent, PromptError};

/// Clocks of machines without a network may differ by this much.
const SLACK: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether this is the plan that was meant: somebody has heard its fingerprint over another channel.
///
/// # Errors
/// `CEREMONY_INVALID`: it is another one. `USAGE`: `--yes` alone, which cannot know.
pub(super) async fn fingerprint(
    ctx: &Ctx,
    args: &CeremonySignArgs,
    digest: &Sha256Digest,
) -> Result<Asked, Error> {
    let is = format!("{} (sha256 {digest})", fingerprint::words(digest));
    let another = |why: String| {
        Error::new(Reason::CeremonyInvalid, why)
            .hint("ask for the plan again, and compare: touchmark ceremony show PLAN")
    };
    if let Some(expected) = &args.expect {
        if !fingerprint::is_meant(expected, digest) {
            let name = file::name(&args.plan);
            return Err(another(format!(
                "{name} is not the plan that is expected: its fingerprint is {is}, and {} was given",
                shown(expected)
            )));
        }
        let question =
            format!("The fingerprint of the plan is {is}; which one was told over another channel?");
        return Ok(Asked { question, answer: expected.clone(), by: By::Flag });
    }
    if args.yes.yes {
        return Err(Error::usage("--yes cannot say whether this is the plan that was meant")
            .hint("--expect FINGERPRINT, as it was told over another channel"));
    }
    ctx.out.say(&format!("The fingerprint of {} is", file::name(&args.plan)));
    ctx.out.say(&format!("  {}", fingerprint::words(digest)));
    ctx.out.say(&format!("  sha256 {digest}"));
    let question = format!("Is {} what was told over another channel?", fingerprint::words(digest));
    match prompt::confirm(&question, Consent::Ask, "--expect FINGERPRINT").await {
        Ok(()) => Ok(Asked { question, answer: "yes".to_owned(), by: By::Terminal }),
        Err(PromptError::Declined { .. }) => Err(another(format!(
            "{} is not the plan that was told over another channel; nothing was signed",
            file::name(&args.plan)
        ))),
        Err(cause) => Err(cause.into()),
    }
}

/// Whether plan and command agree that this is in earnest, or not.
///
/// # Errors
/// `REHEARSAL_ONLY`
pub(super) fn occasion(plan: &Plan, meant: Occasion) -> Result<(), Error> {
    let (message, hint) = match (plan.occasion, meant) {
        (Occasion::Rehearsal, Occasion::Earnest) => {
            ("the plan is of a rehearsal", "--rehearsal, with a throw-away token")
        }
        (Occasion::Earnest, Occasion::Rehearsal) => (
            "the plan is in earnest, and --rehearsal was given",
            "leave out --rehearsal, if that is what you want",
        ),
        _ => return Ok(()),
    };
    Err(Error::new(Reason::RehearsalOnly, message).hint(hint))
}

/// Whether the plan may be signed at this time.
///
/// # Errors
/// `PLAN_OUTDATED`, with both times.
pub(super) fn clock(plan: &Plan, now: Instant) -> Result<(), Error> {
    let outdated = |why: String, hint: &str| Err(Error::new(Reason::PlanOutdated, why).hint(hint));
    if now < plan.made.minus(SLACK) {
        let why = format!(
            "the clock of this machine says {now}, and the plan was made later, at {}: is the clock right?",
            plan.made
        );
        return outdated(why, "date -u shows it, and sets it; then the same command again");
    }
    if now > plan.good_until {
        let why = format!(
            "the plan may be signed until {}, and the clock of this machine says {now}: is the clock right?",
            plan.good_until
        );
        return outdated(why, "if it is: touchmark ceremony plan makes a new one; else date -u sets it");
    }
    Ok(())
}

/// Whether the new roots and the certificates in them are good at this time.
///
/// # Errors
/// `PLAN_OUTDATED`, naming the first one that is not.
pub(super) fn ends(items: &[Item<'_>], now: Instant) -> Result<(), Error> {
    let outdated = |why: String| {
        Err(Error::new(Reason::PlanOutdated, why)
            .hint("if the clock is right: touchmark ceremony plan makes a new one; date -u shows it"))
    };
    for item in items {
        let gun = &item.repository.gun;
        if item.root.expires.has_passed(now) {
            return outdated(format!(
                "the new root of {gun} ended at {}, and it is {now}: nobody would believe it",
                item.root.expires
            ));
        }
        for key in item.root.keys_of(&RoleName::Root) {
            let Ok(certificate) = RootCertificate::from_pem(key.public()) else { continue };
            let (from, until) = (certificate.not_before(), certificate.not_after());
            if now < from || now > until {
                return outdated(format!(
                    "the certificate of the root key {} for {gun} is good from {from} until {until}, and it is {now}",
                    key.canonical_id()
                ));
            }
        }
    }
    Ok(())
}

/// The keys of a token that have something to sign, canonical ids in order.
///
/// # Errors
/// `KEY_UNKNOWN`: none of them has. `TOKEN_MISMATCH`: the plan knows a key on another token.
pub(super) fn keys_of(plan: &Plan, items: &[Item<'_>], token: &v1::Token) -> Result<Vec<KeyId>, Error> {
    let name = shown(&token.name).to_string();
    let mut keys = Vec::new();
    for (id, _, _) in device::root_keys(token)? {
        if !items.iter().any(|item| item.quorum.keys().contains(&id)) {
            continue;
        }
        let serial = plan.key(&id).map(|key| key.serial.as_str()).filter(|serial| !serial.is_empty());
        if let Some(serial) = serial.filter(|serial| *serial != token.serial) {
            let message = format!(
                "the root key {} is on the token with the serial {} by the plan, and {name} has the serial {}",
                words::name(plan, &id),
                shown(serial),
                shown(&token.serial)
            );
            return Err(Error::new(Reason::TokenMismatch, message).hint(
                "the token that the plan names; or a new file of touchmark ceremony key, and a new plan",
            ));
        }
        keys.push(id);
    }
    if keys.is_empty() {
        let wanted: Vec<String> = needs::keys(plan, items).iter().map(|key| key.in_words(plan)).collect();
        let message = format!(
            "no root key of the token {name} has anything to sign in this plan, which wants\n  {}",
            wanted.join("\n  ")
        );
        return Err(Error::new(Reason::KeyUnknown, message).hint("touchmark token ls; --token NAME"));
    }
    keys.sort_unstable();
    Ok(keys)
}
