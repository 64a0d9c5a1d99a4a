//! Who is at the other end, by the kernel's word.

use crate::policy::Caller;

/// A peer as it was when it connected.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who it is.
    pub caller: Caller,
    /// Whether it may use the socket at all. One that may not is told so, call by call.
    pub admitted: bool,
}

/// Knows who somebody is and whether they may come in. Blocking: asks the user database.
pub trait Peers: Send + Sync {
    /// The peer with these credentials.
    fn peer(&self, uid: u32, gid: u32) -> Peer;
}
