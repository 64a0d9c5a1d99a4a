//! The client's own configuration (`touchmark.toml`) and the choice of a trust server. Docker's files are in
//! [`docker`].
pub mod docker;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use touchmark_tuf::shown;
use url::Url;

use crate::error::Error;
use crate::image::Host;

/// Docker Hub's trust server.
const HUB_SERVER: &str = "https://notary.docker.io";

/// The configuration as meant.
#[derive(Clone, Debug, Default)]
pub struct Config {
    servers: BTreeMap<Host, ServerUrl>,
}

/// The configuration as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    registry: BTreeMap<String, WrittenRegistry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenRegistry {
    trust_server: String,
}

impl Config {
    /// Reads the file; a file that does not exist is an empty one.
    ///
    /// # Errors
    /// `USAGE`, with file, line and reason.
    pub fn load(file: &Path) -> Result<Self, Error> {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                Self::parse(&text).map_err(|reason| Error::usage(format!("{}: {reason}", file.display())))
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(cause) => Err(Error::usage(format!("cannot read {}: {cause}", file.display()))),
        }
    }

    /// The trust server for images of `host`: what flag or environment say, else the table, else Docker's rule
    /// (Docker Hub has its own, every other registry is asked itself).
    ///
    /// # Errors
    /// `USAGE`: `written` is no https URL.
    pub fn trust_server(&self, written: Option<&str>, host: &Host) -> Result<ServerUrl, Error> {
        if let Some(written) = written {
            return written.parse().map_err(|cause: ServerUrlError| {
                Error::usage(cause.to_string())
                    .hint("set --trust-server or DOCKER_CONTENT_TRUST_SERVER to https://HOST[:PORT]")
            });
        }
        if let Some(server) = self.servers.get(host) {
            return Ok(server.clone());
        }
        let default = if host.is_hub() { HUB_SERVER.to_owned() } else { format!("https://{host}") };
        default.parse().map_err(|cause: ServerUrlError| Error::usage(cause.to_string()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|cause| cause.to_string())?;
        let mut servers = BTreeMap::new();
        for (host, table) in written.registry {
            let key = host.parse().map_err(|cause| format!("registry.\"{}\": {cause}", shown(&host)))?;
            let server = table
                .trust_server
                .parse()
                .map_err(|cause| format!("registry.\"{}\".trust-server: {cause}", shown(&host)))?;
            servers.insert(key, server);
        }
        Ok(Self { servers })
    }
}

/// The address of a trust server: `https://host[:port][/path]`, nothing else in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// Why an address is none of a trust server. A retry does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{written}' is no address of a trust server: {reason}")]
pub struct ServerUrlError {
    written: String,
    reason: &'static str,
}

impl ServerUrl {
    /// The address with `path` (no leading slash) below it.
    #[must_use]
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let below = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{below}/{path}"));
        url
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for ServerUrl {
    type Err = ServerUrlError;
    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        let bad = |reason| ServerUrlError { written: shown(text).to_string(), reason };
        let url = Url::parse(text).map_err(|_| bad("it is no URL"))?;
        if url.scheme() != "https" {
            return Err(bad("trust data is asked for over https only"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("credentials do not belong into it (use `docker login`)"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("nothing may follow the path"));
        }
        Ok(Self(url))
    }
}

#[cfg(test)]
mod tests;
