//! One read of a repository's trust data: cache, trust server and the rules of `touchmark_tuf` brought together. The
//! cache changes only after everything verified; whatever the server does, a read ends within [`TOTAL`].
pub mod pins;
mod session;
mod summary;
mod view;

use std::sync::Arc;

use touchmark_proto::reason::Reason;
use touchmark_tuf::{Gun, Instant, KeyId, Pin, RoleName};

pub use self::summary::{RootSummary, kept_root};
pub use self::view::{SignedTag, View};

use self::pins::{FirstUse, Pins};
use self::session::{ReadError, Session, Start};
use crate::checked::Checked;
use crate::context::Ctx;
use crate::error::Error;
use crate::http::{Deadline, TOTAL};
use crate::image::Image;
use crate::notary::Notary;
use crate::output::Output;
use crate::trust_dir::{Commit, Files, TrustDir};

/// How often other processes may get ahead of one read.
const PASSES: usize = 20;

/// Where the current documents come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// From the server, just now.
    Server,
    /// From the cache, since the server was not there; the reason in words.
    Cache(String),
}

/// Why the root is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// It was trusted before, or follows one that was.
    Known,
    /// Somebody pinned it.
    Pinned,
    /// It is the first one seen.
    FirstUse,
}

/// What a read needs.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The trust server.
    pub notary: &'a Notary,
    /// The cache.
    pub trust_dir: &'a TrustDir,
    /// The pins.
    pub pins: &'a Pins,
    /// The time.
    pub now: Instant,
    /// The signatures that are known to be good.
    pub checked: &'a Arc<Checked>,
    /// To say what was not as usual.
    pub out: &'a Output,
}

/// Reads and verifies the trust data of an image's repository, with what the context says.
///
/// # Errors
/// `NO_TRUST_DATA`, or why it is not to be believed, or why the server was of no use.
pub async fn read(ctx: &Ctx, image: &Image) -> Result<View, Error> {
    read_at(ctx, image, ctx.now).await
}

/// The same at another time than now.
///
/// # Errors
/// As [`read`].
pub async fn read_at(ctx: &Ctx, image: &Image, now: Instant) -> Result<View, Error> {
    let (notary, pins) = (ctx.notary(image)?, ctx.pins()?);
    let reader = Reader {
        notary: &notary,
        trust_dir: &ctx.trust_dir,
        pins: &pins,
        now,
        checked: &ctx.checked,
        out: &ctx.out,
    };
    reader.read().await
}

impl Reader<'_> {
    /// Reads and verifies everything, then puts it into the cache.
    ///
    /// # Errors
    /// As [`read`].
    pub async fn read(&self) -> Result<View, Error> {
        let gun = self.notary.gun();
        let deadline = Deadline::after(TOTAL);
        let pin = self.pins.of(gun).map(|ids| Pin::KeyIds(ids.to_vec()));
        for _ in 0..PASSES {
            let before = self.trust_dir.load(gun)?;
            let view = self.pass(&before, pin.as_ref(), deadline).await?;
            match self.trust_dir.commit(gun, &before, &view.files()) {
                Ok(Commit::Overtaken) => {}
                Ok(Commit::Done) => {
                    self.say_what_is_unusual(&view, "");
                    return Ok(view);
                }
                Err(cause) => {
                    self.say_what_is_unusual(&view, ", and is not remembered");
                    self.out.warn(&format!("the trust directory was not updated: {cause}"));
                    return Ok(view);
                }
            }
        }
        let message = format!(
            "other processes keep changing the trust data of {gun} in {}",
            self.trust_dir.base().display()
        );
        Err(Error::new(Reason::Conflict, message).hint("try again"))
    }

    async fn pass(&self, before: &Files, pin: Option<&Pin>, deadline: Deadline) -> Result<View, Error> {
        let gun = self.notary.gun();
        let refuse = self.pins.first_use() == FirstUse::Refuse;
        let start = match (before.get(&RoleName::Root), pin) {
            (None, None) if refuse => return Err(self.no_pin(gun)),
            (_, Some(pin)) => Start { ground: Ground::Pinned, pin },
            (Some(_), None) => Start { ground: Ground::Known, pin: &Pin::FirstUse },
            (None, None) => Start { ground: Ground::FirstUse, pin: &Pin::FirstUse },
        };
        let session = Session::start(self, before, start, deadline).await;
        let read = match session {
            Ok(session) => session.finish().await,
            Err(cause) => Err(cause),
        };
        read.map_err(|cause| self.explain(cause))
    }

    fn say_what_is_unusual(&self, view: &View, remembered: &str) {
        let gun = self.notary.gun();
        if view.ground == Ground::FirstUse {
            let ids: Vec<String> = view.root_key_ids().iter().map(KeyId::to_string).collect();
            self.out.say(&format!(
                "first use of {gun}: its root {} is trusted as the server shows it{remembered}",
                ids.join(", ")
            ));
        }
        if let Freshness::Cache(why) = &view.freshness {
            self.out.warn(&format!(
                "the trust server was not there ({why}); using the cached trust data of {gun}, which may not be the latest"
            ));
        }
        for (role, why) in &view.broken {
            self.out.warn(&format!("{role} does not verify and is left out: {why}"));
        }
    }

    fn no_pin(&self, gun: &Gun) -> Error {
        let message =
            format!("{gun} is not pinned, and {} refuses trust on first use", self.pins.file().display());
        Error::new(Reason::PinMismatch, message).hint(format!("touchmark trust pin {gun} --root ID"))
    }

    fn explain(&self, cause: ReadError) -> Error {
        match cause {
            ReadError::Server(cause) => cause.into(),
            ReadError::Withheld { .. } => Error::new(Reason::TrustServerUnreachable, cause.to_string())
                .hint("try again; then ask its operator"),
            ReadError::TooMuch { .. } => Error::new(Reason::TrustDataInvalid, cause.to_string())
                .hint("ask the publisher to revoke old tags"),
            ReadError::Trust(cause) => summary::refusal(&cause, self.notary, self.trust_dir, self.pins),
            ReadError::Stale { .. } => {
                Error::new(Reason::TrustServerUnreachable, cause.to_string()).hint("touchmark doctor")
            }
        }
    }
}
