//! Secrets on their way in: who waits for one, under which one-time handle, and how its bytes are read straight
//! into locked memory. What a secret is good for is not known here, and no secret passes a gRPC message.
//!
//! On the wire, after `TMSECRET` and the handle: a length (two bytes, big endian), that many bytes, and one
//! status byte back ([`Status`]).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::policy::Caller;
use crate::vault::{Locked, SecretBuf};

/// How long a handle lives.
pub const LIFETIME: Duration = Duration::from_secs(60);
/// How long the bytes of a secret may take once its connection stands.
const SENDING_TIME: Duration = Duration::from_secs(10);
/// Bytes of a refused secret that are thrown away at once.
const DRAIN: usize = 4096;
/// The longest PIN or passphrase, in bytes. PKCS#11 modules take up to 255.
pub const PIN_MAX: u16 = 255;
/// The longest key file, in bytes.
pub const KEY_FILE_MAX: u16 = u16::MAX;

/// A one-time name of 16 random bytes for one waiting request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle([u8; 16]);

impl Handle {
    /// As it came from the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// For the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// What one byte tells the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Taken; the verdict comes on the waiting request's stream.
    Taken = 0,
    /// Nobody waits under this handle, or no longer.
    Unknown = 1,
    /// The handle was given to another uid.
    Foreign = 2,
    /// More bytes than are wanted, or none.
    Length = 3,
    /// No locked memory is left for it now.
    NoRoom = 4,
}

/// Somebody came with a handle that is not theirs. For the audit.
#[derive(Clone, Debug)]
pub struct Intrusion {
    /// Who.
    pub caller: Caller,
    /// [`Status::Unknown`] or [`Status::Foreign`].
    pub status: Status,
    /// The request that the handle belongs to, where there is one.
    pub request: Option<String>,
}

/// Who may send which secret.
#[derive(Clone, Debug)]
pub struct Want {
    /// The uid that was given the handle.
    pub uid: u32,
    /// The request that waits.
    pub request: String,
    /// Bytes at most.
    pub max_length: u16,
}

/// Every secret that is waited for.
pub struct Prompts {
    memory: Arc<Locked>,
    waiting: Mutex<HashMap<Handle, Waiting>>,
    intruders: Box<dyn Fn(Intrusion) + Send + Sync>,
}

struct Waiting {
    want: Want,
    deadline: Instant,
    reply: oneshot::Sender<SecretBuf>,
}

/// One question that is open. Its handle dies with it.
#[derive(Debug)]
pub struct Prompt {
    handle: Handle,
    deadline: Instant,
    answer: Option<oneshot::Receiver<SecretBuf>>,
    prompts: Arc<Prompts>,
}

/// Why no secret came. Asking again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Nobody answered in time.
    #[error("nobody answered within {} seconds", LIFETIME.as_secs())]
    Expired,
    /// The sender broke off, or sent nothing or too much.
    #[error("no usable answer came")]
    Broken,
    /// The kernel gave no random bytes for a handle.
    #[error("the system gave no random bytes")]
    Random,
}

impl Prompts {
    /// `intruders` hears of wrong and foreign handles.
    #[must_use]
    pub fn new(memory: Arc<Locked>, intruders: impl Fn(Intrusion) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { memory, waiting: Mutex::default(), intruders: Box::new(intruders) })
    }

    /// Opens a question. Tell its handle to the one who is to answer.
    ///
    /// # Errors
    /// [`PromptError::Random`].
    pub fn open(self: &Arc<Self>, want: Want) -> Result<Prompt, PromptError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| PromptError::Random)?;
        let (handle, deadline) = (Handle(bytes), Instant::now() + LIFETIME);
        let (reply, answer) = oneshot::channel();
        self.waiting().insert(handle, Waiting { want, deadline, reply });
        Ok(Prompt { handle, deadline, answer: Some(answer), prompts: Arc::clone(self) })
    }

    /// How many questions are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.waiting().len()
    }

    /// Serves one secret connection: everything after the handle.
    pub async fn receive(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        handle: Handle,
        caller: &Caller,
    ) {
        let status = match self.claim(handle, caller) {
            Ok(waiting) => {
                let read = self.read(&mut stream, waiting);
                match tokio::time::timeout(SENDING_TIME, read).await {
                    Ok(Ok(status)) => status,
                    // The waiting side has been told by the dropped reply.
                    Ok(Err(_)) | Err(_) => return,
                }
            }
            Err(status) => status,
        };
        // Whoever does not wait for the byte does not get it.
        drop(stream.write_all(&[status as u8]).await);
        drop(stream.shutdown().await);
        if status != Status::Taken {
            drop(tokio::time::timeout(SENDING_TIME, self.drain(&mut stream)).await);
        }
    }

    /// Takes what a refused sender still writes, so that it gets to read its status byte instead of an error. It may
    /// be a secret all the same: it goes into locked memory, and nowhere from there.
    async fn drain(&self, stream: &mut (impl AsyncRead + Unpin)) {
        let Ok(mut rest) = SecretBuf::new(&self.memory, DRAIN) else { return };
        let mut left = usize::from(u16::MAX) + 2;
        while left > 0 {
            match stream.read(rest.as_mut_slice()).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    }

    /// Takes the handle out of use, if it is the caller's.
    fn claim(&self, handle: Handle, caller: &Caller) -> Result<Waiting, Status> {
        let mut all = self.waiting();
        let (status, request) = match all.get(&handle) {
            Some(found) if found.deadline <= Instant::now() => {
                (Status::Unknown, Some(found.want.request.clone()))
            }
            Some(found) if found.want.uid != caller.uid => {
                (Status::Foreign, Some(found.want.request.clone()))
            }
            Some(_) => return all.remove(&handle).ok_or(Status::Unknown),
            None => (Status::Unknown, None),
        };
        drop(all);
        (self.intruders)(Intrusion { caller: caller.clone(), status, request });
        Err(status)
    }

    async fn read(&self, stream: &mut (impl AsyncRead + Unpin), waiting: Waiting) -> std::io::Result<Status> {
        let length = stream.read_u16().await?;
        if length == 0 || length > waiting.want.max_length {
            return Ok(Status::Length);
        }
        let length = usize::from(length);
        let Ok(mut secret) = SecretBuf::new(&self.memory, length) else { return Ok(Status::NoRoom) };
        // From the kernel into locked memory, without a buffer between.
        stream.read_exact(secret.as_mut_slice()).await?;
        if secret.set_len(length).is_err() {
            return Ok(Status::Length);
        }
        Ok(if waiting.reply.send(secret).is_ok() { Status::Taken } else { Status::Unknown })
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Handle, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Prompts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompts")
    }
}

impl Prompt {
    /// For the one who is to answer.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// Waits for the secret.
    ///
    /// # Errors
    /// [`PromptError::Expired`], [`PromptError::Broken`].
    pub async fn secret(mut self) -> Result<SecretBuf, PromptError> {
        let answer = self.answer.take().ok_or(PromptError::Broken)?;
        match tokio::time::timeout_at(self.deadline, answer).await {
            Ok(Ok(secret)) => Ok(secret),
            Ok(Err(_)) => Err(PromptError::Broken),
            Err(_) => Err(PromptError::Expired),
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        self.prompts.waiting().remove(&self.handle);
    }
}

#[cfg(test)]
mod tests;
