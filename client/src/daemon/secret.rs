//! One secret, one connection: the wire is described at `NeedsPin` in `common.proto`.
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use touchmark_proto::reason::Reason;

use super::{Daemon, door, unreachable};
use crate::error::Error;
use crate::prompt::Secret;

const MAGIC: &[u8; 8] = b"TMSECRET";
const HANDLE: usize = 16;

impl Daemon {
    /// Hands a secret to the request that gave out `handle`. Whether it is right is said on that request's stream.
    pub(super) async fn send_secret(&self, handle: &[u8], secret: &Secret) -> Result<(), Error> {
        if handle.len() != HANDLE {
            return Err(Error::internal(format!("touchmarkd gave a handle of {} bytes", handle.len())));
        }
        let length = u16::try_from(secret.len())
            .map_err(|_| Error::usage(format!("a secret of {} bytes is too long", secret.len())))?;
        let mut stream =
            door::connect(&self.socket).await.map_err(|cause| unreachable(&self.socket, &cause))?;
        let verdict = async {
            stream.write_all(MAGIC).await?;
            stream.write_all(handle).await?;
            stream.write_all(&length.to_be_bytes()).await?;
            // Straight from the buffer that is wiped; nothing between here and the kernel keeps a copy.
            stream.write_all(secret.expose()).await?;
            stream.read_u8().await
        };
        match verdict.await.map_err(|cause| unreachable(&self.socket, &cause))? {
            0 => Ok(()),
            1 => Err(Error::new(
                Reason::PinRequired,
                "touchmarkd asks for this secret no more: it came too late",
            )
            .hint("run the command again")),
            2 => Err(Error::new(Reason::NotAllowed, "touchmarkd asked another user for this secret")),
            3 => Err(Error::usage("the secret is longer than touchmarkd takes")),
            4 => Err(Error::new(
                Reason::Overloaded,
                "touchmarkd has no locked memory left for another secret now",
            )
            .hint("try again")),
            other => Err(Error::internal(format!("touchmarkd answered {other} to a secret"))),
        }
    }
}
