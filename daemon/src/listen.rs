//! The door: the socket's place, who knocks, how many may stand in it, and what their first bytes mean.
//!
//! A peer's credentials are read before any of its bytes. The first 24 bytes then say which of two things a
//! connection is: HTTP/2 goes on to the gRPC server, `TMSECRET` carries one secret (see [`crate::secret`]).
//! Nothing here knows what is asked.

mod bind;
mod directory;
mod error;
mod folder;
mod outlet;
mod peer;
mod preface;
mod register;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::UCred;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

pub use bind::{Bound, Place, activated};
pub use directory::Directory;
pub use error::ListenError;
pub use folder::{Opening, foresee, prepare};
pub use outlet::Outlet;
pub use peer::{Peer, Peers};
pub use preface::Preface;
pub use register::{Caps, InFlight, Member, Register, Requests, Turn};
pub use stream::{Conn, ConnInfo};

use crate::log::Sparingly;
use crate::secret::Prompts;

/// How long a peer may take for its first 24 bytes.
const PREFACE_TIME: Duration = Duration::from_secs(2);
/// How often connections without a request are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// Connections that are taken in one go. Then those inside have their turn: who has just come in is heard before so many
/// others come that its place is taken.
const BATCH: usize = 2;
/// The longest pause after the kernel refused a connection (no descriptors left).
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// What the accept loop needs.
#[derive(Clone)]
pub struct Door {
    /// Who may come in.
    pub peers: Arc<Directory>,
    /// Who is in.
    pub register: Arc<Register>,
    /// Which secrets are waited for.
    pub prompts: Arc<Prompts>,
}

impl Door {
    /// Accepts connections until the receiver of `grpc` is gone. Each connection is looked at in a task of its
    /// own, so that a slow one keeps nobody waiting.
    pub async fn accept(self, listener: UnixListener, grpc: mpsc::Sender<std::io::Result<Conn>>) {
        let (mut sweep, lines) = (tokio::time::interval(SWEEP), Sparingly::default());
        for turn in (0..BATCH).cycle() {
            if turn == 0 {
                tokio::task::yield_now().await;
            }
            tokio::select! {
                () = grpc.closed() => return,
                _ = sweep.tick() => self.register.close_idle(),
                accepted = self.next(&listener) => match accepted {
                    Ok(stream) => self.enter(stream, &grpc),
                    Err(error) => {
                        if let Some(left_out) = lines.line(()) {
                            tracing::warn!(%error, left_out, "a connection could not be accepted");
                        }
                        // Most often there is no descriptor left for it.
                        drop(tokio::time::timeout(REFUSED_PAUSE, self.register.make_room()).await);
                    }
                },
            }
        }
    }

    async fn next(&self, listener: &UnixListener) -> std::io::Result<UnixStream> {
        self.register.room().await;
        Ok(listener.accept().await?.0)
    }

    /// Registers a connection before anything is awaited: a peer that says nothing counts, and can be closed for
    /// another at any moment.
    fn enter(&self, stream: UnixStream, grpc: &mpsc::Sender<std::io::Result<Conn>>) {
        let credentials = match stream.peer_cred() {
            Ok(credentials) => credentials,
            Err(error) => return tracing::debug!(%error, "a peer without credentials was closed"),
        };
        let member = self.register.enter(credentials.uid());
        if preface::is_here(&stream) {
            member.has_spoken();
        }
        let (door, closing, grpc) = (self.clone(), member.closing(), grpc.clone());
        let received = async move { door.receive(stream, credentials, member, grpc).await };
        tokio::spawn(closing.run_until_cancelled_owned(received));
    }

    async fn receive(
        self,
        mut stream: UnixStream,
        credentials: UCred,
        member: Member,
        grpc: mpsc::Sender<std::io::Result<Conn>>,
    ) {
        let uid = credentials.uid();
        let preface = match tokio::time::timeout(PREFACE_TIME, preface::read(&mut stream)).await {
            Ok(Ok(preface)) => preface,
            Ok(Err(error)) => return tracing::debug!(uid, %error, "a peer left before it said anything"),
            Err(_) => return tracing::debug!(uid, "a peer said nothing in time"),
        };
        if preface == Preface::Unknown {
            return tracing::debug!(uid, "a peer speaks neither HTTP/2 nor TMSECRET");
        }
        // Only now: the user database is not asked about the thousands who say nothing.
        let Some(peer) = self.peers.find(uid, credentials.gid()).await else { return };
        if peer.admitted {
            member.admit();
        }
        match preface {
            Preface::Http2(bytes) => {
                let conn = Conn::new(stream, bytes, peer, member);
                // The server is going down when nobody takes it.
                drop(grpc.send(Ok(conn)).await);
            }
            Preface::Secret(handle) => {
                member.was_heard();
                self.prompts.receive(stream, handle, &peer.caller).await;
            }
            Preface::Unknown => (),
        }
    }
}

#[cfg(test)]
mod tests;
