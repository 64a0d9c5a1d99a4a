//! The desk as the road's person: waiting states become events, questions become prompts. A configured PIN answers
//! where nobody has to be there.

use std::pin::Pin;

use touchmark_proto::v1;
use touchmark_proto::v1::waiting::State;

use super::desk::{Desk, DeskError, Question};
use crate::app::Kind;
use crate::secret::PromptError;
use crate::sign::person::{self, AskError, Person, Purpose, SecretKind, Waiting};
use crate::vault::SecretBuf;

impl Person for Desk {
    fn tell(&self, waiting: Waiting) {
        Self::tell(self, state(waiting));
    }

    fn ask(
        &self,
        question: person::Question,
    ) -> Pin<Box<dyn Future<Output = Result<SecretBuf, AskError>> + Send + '_>> {
        Box::pin(async move {
            if let Some(pin) = self.configured(&question).await {
                return Ok(pin);
            }
            let kind = match question.kind {
                SecretKind::Pin => v1::SecretKind::Pin,
                SecretKind::Passphrase => v1::SecretKind::Passphrase,
            };
            let person::Question { token, serial, tries_left, intent, .. } = question;
            let asked = Self::ask(self, Question { kind, token, serial, tries_left, intent }).await;
            asked.map_err(|error| match error {
                DeskError::Prompt(PromptError::Expired) => AskError::Timeout,
                DeskError::Prompt(PromptError::Broken | PromptError::Random)
                | DeskError::Withdrawn
                | DeskError::Stopping
                | DeskError::Nobody => AskError::Gone,
            })
        })
    }
}

impl Desk {
    /// The configured PIN of a token. In a dev state it also stands for the person that there is none of.
    async fn configured(&self, question: &person::Question) -> Option<SecretBuf> {
        let nobody_needed = question.purpose != Purpose::Presence || self.app().kind() == Kind::Dev;
        if question.kind != SecretKind::Pin || !nobody_needed {
            return None;
        }
        let slot = self.app().token(&question.token).ok()?;
        match self.app().configured_pin(slot, &slot.handle.state()).await {
            Ok(found) => found.map(|(pin, _)| pin),
            Err(error) => {
                tracing::warn!(token = question.token, %error, "the configured PIN cannot be used; a person is asked");
                None
            }
        }
    }
}

fn state(waiting: Waiting) -> State {
    match waiting {
        Waiting::Queued { behind } => State::Queued(v1::Queued { behind }),
        Waiting::NeedsToken { token, serial, why } => {
            State::NeedsToken(v1::NeedsToken { token, serial, why })
        }
        Waiting::NeedsTouch { token, serial, intent, deadline_unix_ms, wait, touch, of } => {
            let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
            State::NeedsTouch(v1::NeedsTouch { token, serial, intent, deadline_unix_ms, touch, of, wait_ms })
        }
        Waiting::Working { what } => State::Working(v1::Working { what }),
    }
}
