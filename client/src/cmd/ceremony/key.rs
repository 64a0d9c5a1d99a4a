//! `ceremony key`: what a root key on a token says of itself, and its certificates, into a file that travels to whoever
//! makes the plan.
use std::collections::BTreeMap;

use serde_json::json;
use touchmark_proto::reason::Reason;
use touchmark_tuf::Instant;

use super::device;
use crate::args::CeremonyKeyArgs;
use crate::ceremony::keyholder::KeyFile;
use crate::ceremony::needs;
use crate::ceremony::plan::Occasion;
use crate::ceremony::words::{place, repositories, short};
use crate::ceremony::{TOOL, file, fleet, vouched};
use crate::context::Ctx;
use crate::daemon::{Certificate, Daemon};
use crate::error::Error;
use crate::prompt::Prompter;

pub(super) async fn run(ctx: &Ctx, args: CeremonyKeyArgs) -> Result<(), Error> {
    let occasion = Occasion::of(&args.rehearsal);
    let images = fleet::read(&args.fleet, occasion)?;
    // Before anybody touches anything.
    if args.out.symlink_metadata().is_ok() {
        return Err(Error::usage(format!("{} is there already", file::name(&args.out)))
            .hint("another --out, or move it away"));
    }
    let authorities = vouched::authorities(ctx, args.ca.as_deref())?;
    let daemon = Daemon::connect(ctx, Prompter::from_args(&args.pin)).await?;
    let token = device::ready(&daemon, &args.token).await?;
    let (public, key) = device::chosen(&token, args.key.as_deref())?;
    let id = public.canonical_id();
    let proof = device::attest(ctx, &daemon, &token, &public, authorities.as_ref()).await?;
    if token.kind == "yubikey" && authorities.is_none() {
        ctx.out.say("what the YubiKey says of the key goes along unchecked: --ca FILE checks it here");
    }
    let which = if args.renew { Certificate::Renewed } else { Certificate::Kept };
    let missing = images.iter().filter(|image| {
        let is_it = |one: &touchmark_proto::v1::RootCertificate| one.repository == image.gun().as_str();
        which == Certificate::Renewed || !key.certificates.iter().any(is_it)
    });
    let missing = missing.count();
    if let Some(touches) = needs::touches(Some(&key.touch_policy), missing).filter(|touches| *touches > 0) {
        ctx.out.say(&format!("{missing} certificates are to be made; touches: {touches} or more"));
    }
    let bar = ctx.out.count_bar("certificates", images.len());
    let mut certificates = BTreeMap::new();
    for (at, image) in images.iter().enumerate() {
        let certificate = daemon.root_certificate(&id, image.gun(), which).await.map_err(|cause| {
            let message =
                format!("certificate {} of {}, for {}: {}", at + 1, images.len(), image.gun(), cause.message);
            let again = match which {
                Certificate::Kept => "the same command again: what is made already is not made anew",
                Certificate::Renewed => "the same command again, which makes all of them anew",
            };
            let hint =
                cause.hint.clone().map_or_else(|| again.to_owned(), |first| format!("{first}; then {again}"));
            Error { message, ..cause }.hint(hint)
        })?;
        certificates.insert(image.gun().clone(), certificate);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let key = device::described(&token, &key, public, proof.certificates);
    let file = KeyFile {
        occasion,
        made: Instant::from_unix(ctx.now.unix()),
        tool: TOOL.to_owned(),
        key,
        certificates,
    };
    let bytes = file.write();
    if KeyFile::parse(&bytes).as_ref() != Ok(&file) {
        return Err(Error::new(Reason::Internal, "the key file does not read back as it was meant"));
    }
    file::write_new(&args.out, &bytes)?;
    let mut lines = vec![
        format!("Wrote {}: {}", file::name(&args.out), repositories(file.certificates.len())),
        format!("  root key {id}"),
        format!("  {}", place(&file.key)),
    ];
    lines.extend(proof.attested.as_ref().map(|attested| format!("  {}", device::proved(attested))));
    if occasion == Occasion::Rehearsal {
        lines.push("  for a rehearsal only".to_owned());
    }
    lines.push(format!(
        "Whoever makes the plan gives it as --add-root FILE, and compares the key with you: {}",
        short(&id)
    ));
    let document = json!({
        "file": args.out.to_string_lossy(),
        "key": id.to_string(),
        "repositories": file.certificates.keys().map(ToString::to_string).collect::<Vec<_>>(),
        "rehearsal": occasion == Occasion::Rehearsal,
        "attested": proof.attested.as_ref().map(device::proved),
    });
    ctx.out.answer(&lines.join("\n"), &document)
}
