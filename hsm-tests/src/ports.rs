//! Free loopback ports for programs that cannot bind port 0 and say which one they got.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// First and last port handed out: below Linux's ephemeral range (32768 and up), so that no outgoing connection
/// takes one between the check and its use.
const RANGE: std::ops::RangeInclusive<u16> = 15_000..=31_999;

/// A port of 127.0.0.1 that is ours until this value is dropped.
///
/// The lease is a Unix socket in the abstract namespace, named after the port: two test processes never get the
/// same one, and the kernel ends the lease with its holder.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lease: UnixListener,
}

impl Port {
    /// A port that nothing listens on and no other fixture has.
    #[must_use]
    pub fn free() -> Self {
        let span = RANGE.end() - RANGE.start() + 1;
        let start = scatter() % span;
        (0..span)
            .map(|step| RANGE.start() + (start + step) % span)
            .find_map(Self::take)
            .expect("a free loopback port between 15000 and 31999")
    }

    /// Two ports in a row, for programs that count on that.
    #[must_use]
    pub fn pair() -> [Self; 2] {
        let span = RANGE.end() - RANGE.start();
        let start = scatter() % span;
        (0..span)
            .map(|step| RANGE.start() + (start + step) % span)
            .find_map(|number| Some([Self::take(number)?, Self::take(number + 1)?]))
            .expect("two free loopback ports between 15000 and 31999")
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn take(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("touchmark-test-port-{number}")).ok()?;
        let lease = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).ok()?;
        Some(Self { number, _lease: lease })
    }
}

/// Somewhere else each time, so that parallel processes seldom try the same port.
fn scatter() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one(std::process::id());
    u16::from_le_bytes([hash.to_le_bytes()[0], hash.to_le_bytes()[1]])
}
