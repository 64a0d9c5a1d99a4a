//! What a person types as IMAGE: Docker's reference grammar, its short forms, and the full name (GUN) that trust
//! documents use. Nothing here asks anybody.
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use touchmark_tuf::Sha256Digest;
use touchmark_tuf::{Gun, TargetName, shown};

use crate::error::Error;

/// Docker Hub's name in references.
const HUB: &str = "docker.io";
/// Where Docker Hub's registry really is.
const HUB_REGISTRY: &str = "registry-1.docker.io";
/// The key of Docker Hub's credentials in `config.json`.
const HUB_CREDENTIALS: &str = "https://index.docker.io/v1/";
/// The tag that is meant when none is written.
const DEFAULT_TAG: &str = "latest";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A registry as it stands in a reference: a host, perhaps with a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

/// A parsed reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    host: Host,
    repository: String,
    gun: Gun,
    tag: Option<TargetName>,
    digest: Option<Sha256Digest>,
}

/// Why something is no reference. A retry does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing was written.
    #[error("the image name is empty")]
    Empty,
    /// The registry part is no host name.
    #[error("'{0}' is no registry host (letters, digits, '.', '-', and a port after ':')")]
    Host(String),
    /// One component of the path is wrong.
    #[error(
        "'{0}' is no repository name component (lower-case letters and digits, separated by '.', '_', '__' or '-')"
    )]
    Component(String),
    /// The name is too long.
    #[error("the image name is longer than {NAME_MAX} characters")]
    TooLong,
    /// The tag is wrong.
    #[error(
        "'{0}' is no tag (letters, digits, '_', '.', '-', at most {TAG_MAX}, not beginning with '.' or '-')"
    )]
    Tag(String),
    /// The digest is wrong or of another kind.
    #[error("'{0}' is no digest (sha256: and 64 hexadecimal digits)")]
    Digest(String),
    /// 64 hex digits alone mean an image id to Docker.
    #[error("'{0}' is an image id, not a name")]
    Id(String),
}

impl Host {
    /// Docker Hub.
    #[must_use]
    pub fn hub() -> Self {
        Self(HUB.to_owned())
    }

    /// Whether this is Docker Hub.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        self.0 == HUB
    }

    /// Whether the host names this machine: `localhost`, 127.0.0.0/8, `[::1]`. Names that only resolve to it do
    /// not count.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = host_only(&self.0);
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || name.parse::<Ipv6Addr>().is_ok_and(|address| IpAddr::from(address).is_loopback())
    }

    /// `host[:port]` to connect to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        if self.is_hub() { HUB_REGISTRY } else { &self.0 }
    }

    /// Under which name `docker login` keeps the credentials.
    #[must_use]
    pub fn credentials_key(&self) -> &str {
        if self.is_hub() { HUB_CREDENTIALS } else { &self.0 }
    }

    /// As it stands in a GUN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Host {
    type Err = ImageError;
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let bad = || ImageError::Host(shown(text).to_string());
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']').ok_or_else(bad)?;
                address.parse::<Ipv6Addr>().map_err(|_| bad())?;
                (None, after.strip_prefix(':').or_else(|| after.is_empty().then_some("0")))
            }
            None => match text.split_once(':') {
                Some((name, port)) => (Some(name), Some(port)),
                None => (Some(text), Some("0")),
            },
        };
        let port_is_good = port.is_some_and(|port| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
        });
        if !port_is_good || !name.is_none_or(is_domain_name) {
            return Err(bad());
        }
        Ok(Self(if text == "index.docker.io" { HUB.to_owned() } else { text.to_owned() }))
    }
}

impl Image {
    /// Parses what was typed.
    ///
    /// # Errors
    /// `USAGE`, naming the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        text.parse().map_err(|cause: ImageError| {
            Error::usage(format!("'{}' is no image reference: {cause}", shown(text)))
                .hint("write [REGISTRY/]NAME[:TAG], for example registry.example.com/team/app:1.0")
        })
    }

    /// The registry.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The path inside the registry: `library/alpine`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The full name that trust documents use: `docker.io/library/alpine`.
    #[must_use]
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The tag, if one was written.
    #[must_use]
    pub fn tag(&self) -> Option<&TargetName> {
        self.tag.as_ref()
    }

    /// The tag, `latest` if neither tag nor digest was written.
    ///
    /// # Errors
    /// `USAGE` when there is a digest instead.
    pub fn tag_or_latest(&self) -> Result<TargetName, Error> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Ok(tag.clone()),
            (None, None) => {
                TargetName::try_from(DEFAULT_TAG).map_err(|cause| Error::internal(cause.to_string()))
            }
            (None, Some(_)) => Err(Error::usage(format!("{self} names a digest; a tag is needed here"))),
        }
    }

    /// The tag that had to be written.
    ///
    /// # Errors
    /// `USAGE` when there is none.
    pub fn required_tag(&self) -> Result<&TargetName, Error> {
        self.tag.as_ref().ok_or_else(|| {
            Error::usage(format!("{self} names no tag")).hint(format!("write {}:TAG", self.familiar()))
        })
    }

    /// The digest, if one was written.
    #[must_use]
    pub fn digest(&self) -> Option<&Sha256Digest> {
        self.digest.as_ref()
    }

    /// The name as Docker shows it: `alpine`, `icho/alpine`, `localhost:5000/icho/alpine`; the full one where the
    /// short one would mean something else (`docker.io/localhost/a`).
    #[must_use]
    pub fn familiar(&self) -> &str {
        let full = self.gun.as_str();
        let short = full.strip_prefix("docker.io/");
        let official =
            short.and_then(|short| short.strip_prefix("library/")).filter(|name| !name.contains('/'));
        let on_hub = |name: &&str| {
            split_host(name).is_ok_and(|(host, path)| host.is_hub() && path == *name && !is_id(name))
        };
        official.or(short).filter(on_hub).unwrap_or(full)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.familiar())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{}", digest.to_oci())?;
        }
        Ok(())
    }
}

impl FromStr for Image {
    type Err = ImageError;
    fn from_str(text: &str) -> Result<Self, ImageError> {
        if text.is_empty() {
            return Err(ImageError::Empty);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let last_slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest.get(last_slash..).and_then(|last| last.find(':')) {
            Some(at) => rest.split_at(last_slash + at),
            None => (rest, ""),
        };
        let tag = tag.strip_prefix(':').map(parse_tag).transpose()?;
        let (host, path) = split_host(name)?;
        for component in path.split('/') {
            if !is_component(component) {
                return Err(ImageError::Component(shown(component).to_string()));
            }
        }
        if tag.is_none() && digest.is_none() && is_id(name) {
            return Err(ImageError::Id(name.to_owned()));
        }
        let repository =
            if host.is_hub() && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        let full = format!("{host}/{repository}");
        if full.len() > NAME_MAX {
            return Err(ImageError::TooLong);
        }
        let gun = Gun::try_from(full.as_str()).map_err(|_| ImageError::Component(shown(path).to_string()))?;
        Ok(Self { host, repository, gun, tag, digest })
    }
}

/// `host:port` or `[v6]:port` without port and brackets.
fn host_only(text: &str) -> &str {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => text.split_once(':').map_or(text, |(name, _)| name),
    }
}

/// Docker's rule: the first component is a registry when it could not be a path (a dot, a colon, an upper-case
/// letter) or is `localhost`.
fn split_host(name: &str) -> Result<(Host, &str), ImageError> {
    match name.split_once('/') {
        Some((first, path))
            if first == "localhost" || first.contains(['.', ':']) || first.to_lowercase() != first =>
        {
            Ok((first.parse()?, path))
        }
        _ => Ok((Host::hub(), name)),
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_domain_name(name: &str) -> bool {
    name.split('.').all(|label| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    })
}

/// `[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    text.split(alphanumeric).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
    })
}

fn parse_tag(text: &str) -> Result<TargetName, ImageError> {
    let bad = || ImageError::Tag(shown(text).to_string());
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first_is_good = text.bytes().next().is_some_and(word);
    let rest_is_good = text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
    if !first_is_good || !rest_is_good || text.len() > TAG_MAX {
        return Err(bad());
    }
    TargetName::try_from(text).map_err(|_| bad())
}

fn parse_digest(text: &str) -> Result<Sha256Digest, ImageError> {
    let bad = || ImageError::Digest(shown(text).to_string());
    let hex = text.strip_prefix("sha256:").ok_or_else(bad)?;
    if hex.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(bad());
    }
    hex.parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests;
