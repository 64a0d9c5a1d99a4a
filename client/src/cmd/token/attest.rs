//! `token attest`: what a YubiKey proves about its keys, in words.
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use touchmark_proto::reason::Reason;
use touchmark_proto::v1;
use touchmark_tuf::{PublicKey, shown};

use super::{find, key, tokens};
use crate::args::PinArgs;
use crate::attestation::{Attested, Authorities, Owner, pem};
use crate::context::Ctx;
use crate::daemon::{Daemon, failure};
use crate::error::Error;
use crate::prompt::Prompter;

/// Beside the client's own configuration.
const AUTHORITIES: &str = "attestation-ca.pem";

/// Asks for, checks and shows the attestation of one key or of all.
pub(super) async fn run(
    ctx: &Ctx,
    name: &str,
    wanted: Option<&str>,
    ca: Option<PathBuf>,
    out: Option<PathBuf>,
) -> Result<(), Error> {
    let all = tokens(ctx).await?;
    let token = find(&all, name)?;
    let asked = asked(token, wanted)?;
    let file = ca.unwrap_or_else(|| ctx.environment.config_file().with_file_name(AUTHORITIES));
    let daemon = Daemon::connect(ctx, Prompter::from_args(&PinArgs::default())).await?;
    let (mut lines, mut documents) = (Vec::new(), Vec::new());
    for (request, enrolled) in asked {
        let answer = daemon.tokens().attest(request).await.map_err(failure)?.into_inner();
        if answer.made == "elsewhere" {
            let why = format!(
                "the key in slot {} of {} was imported: nothing proves where it was made and who else has it",
                shown(&answer.slot),
                shown(name)
            );
            let hint = format!("touchmark key create root --token {} makes one there", shown(name));
            return Err(Error::new(Reason::NotAttested, why).hint(hint));
        }
        if let Some(folder) = &out {
            save(folder, &answer)?;
        }
        let attested = Authorities::read(&file)?.check(&answer.certificates, ctx.now)?;
        let serial = if token.serial.is_empty() { &answer.serial } else { &token.serial };
        attested.is_about(serial, enrolled.as_ref())?;
        lines.push(in_words(&answer, &attested));
        documents.push(to_json(&answer, &attested));
    }
    ctx.out.answer(&lines.join("\n"), &json!({ "token": name, "attested": documents }))
}

/// The requests to make, each with the key that is known to be there.
fn asked(
    token: &v1::Token,
    wanted: Option<&str>,
) -> Result<Vec<(v1::AttestRequest, Option<PublicKey>)>, Error> {
    let of_key = |one: &v1::Key| {
        let public = PublicKey::from_spki(&one.public_key)
            .map_err(|_| Error::internal("the daemon sent a key that is none"))?;
        let request =
            v1::AttestRequest { key_id: one.id.clone(), token: token.name.clone(), ..Default::default() };
        Ok((request, Some(public)))
    };
    match wanted {
        Some(slot) if slot.len() == 2 => {
            let slot = u32::from_str_radix(slot, 16)
                .map_err(|_| Error::usage(format!("{} is no slot", shown(slot))).hint("9c, or a key's id"))?;
            let request = v1::AttestRequest { token: token.name.clone(), slot, ..Default::default() };
            Ok(vec![(request, None)])
        }
        Some(id) => Ok(vec![of_key(key::find(&token.keys, id)?)?]),
        None if token.keys.is_empty() => {
            let why = format!("no key on {} is known", shown(&token.name));
            let hint = format!("touchmark token attest {} 9c", shown(&token.name));
            Err(Error::new(Reason::KeyUnknown, why).hint(hint))
        }
        None => token.keys.iter().map(of_key).collect(),
    }
}

fn in_words(answer: &v1::AttestResponse, attested: &Attested) -> String {
    format!(
        "{id}\n  made on the device, in slot {slot}; it cannot leave it\n  YubiKey {serial}, firmware {firmware}\n  PIN: \
         {pin}; touch: {touch}\n  vouched for by {root}",
        id = attested.public.canonical_id(),
        slot = shown(&answer.slot),
        serial = attested.serial,
        firmware = attested.firmware,
        pin = attested.pin_policy,
        touch = attested.touch_policy,
        root = attested.root,
    )
}

fn to_json(answer: &v1::AttestResponse, attested: &Attested) -> Value {
    json!({
        "key": attested.public.canonical_id().to_string(),
        "slot": answer.slot,
        "made": "here",
        "serial": attested.serial.to_string(),
        "firmware": attested.firmware,
        "pin_policy": attested.pin_policy,
        "touch_policy": attested.touch_policy,
        "root": {
            "name": attested.root.name,
            "fingerprint": attested.root.fingerprint.to_oci(),
            "yubico": attested.root.owner == Owner::Yubico,
        },
        "certificates": answer.certificates.iter().map(|der| pem::write(der)).collect::<Vec<_>>(),
    })
}

/// Everything that came, before it is judged: others may want to.
fn save(folder: &Path, answer: &v1::AttestResponse) -> Result<(), Error> {
    let slot: String = answer.slot.chars().filter(char::is_ascii_alphanumeric).collect();
    let names = [format!("{slot}.pem"), "f9.pem".to_owned()];
    let fail =
        |cause: std::io::Error| Error::usage(format!("cannot write into {}: {cause}", folder.display()));
    std::fs::create_dir_all(folder).map_err(fail)?;
    for (name, der) in names.iter().zip(&answer.certificates) {
        std::fs::write(folder.join(name), pem::write(der)).map_err(fail)?;
    }
    Ok(())
}
