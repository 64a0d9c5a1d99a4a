//! State that `--dev` made never signs for the world: its PIN lies beside it.
use std::net::IpAddr;

use touchmark_proto::reason::Reason;
use url::{Host, Url};

use crate::error::Error;

/// Refuses to publish with dev state to a trust server that is not on this machine.
///
/// # Errors
/// `POLICY_REFUSED`; nothing was sent.
pub(super) async fn refuse_dev(url: &Url) -> Result<(), Error> {
    if is_loopback(url).await {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    Err(Error::new(
        Reason::PolicyRefused,
        format!("touchmarkd runs on state made by --dev; {host} is not on this machine, so nothing is published there"),
    )
    .hint("run a real touchmarkd: see `touchmarkd run --help`"))
}

/// A loopback address, or a name all of whose addresses are.
async fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        Some(Host::Domain("localhost")) => true,
        Some(Host::Domain(name)) => {
            let port = url.port_or_known_default().unwrap_or(443);
            match tokio::net::lookup_host((name, port)).await {
                Ok(addresses) => all_loopback(addresses.map(|address| address.ip())),
                Err(_) => false,
            }
        }
        None => false,
    }
}

fn all_loopback(addresses: impl Iterator<Item = IpAddr>) -> bool {
    let mut addresses = addresses.map(|address| address.to_canonical().is_loopback()).peekable();
    addresses.peek().is_some() && addresses.all(|is_loopback| is_loopback)
}

#[cfg(test)]
mod tests;
