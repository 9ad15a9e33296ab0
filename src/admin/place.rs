//! Which server an operator means, and who the operator is.
//!
//! A key's secret comes from a file that only its owner may read, or from the environment; never from a
//! flag, which every process of the machine can see.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use gateway::auth::{Auth, Secret};
use identity::KeyId;
use serde::Deserialize;

use super::failure::Failure;
use crate::connection::{Endpoint, Scheme, Trust};
use crate::private_file;

const KEY_VARIABLE: &str = "RINGBOOK_API_KEY";
const SECRET_VARIABLE: &str = "RINGBOOK_API_SECRET";
const TOKEN_VARIABLE: &str = "RINGBOOK_ADMIN_TOKEN";

/// Of every command that asks a server.
#[derive(Args, Clone, Debug)]
pub struct PlaceArguments {
    /// The server: http://HOST:PORT or https://HOST:PORT
    #[arg(long, env = "RINGBOOK_URL", value_name = "URL", global = true, help_heading = "Server")]
    #[arg(default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Certificates, PEM, that the server's must lead to [default: those that this machine trusts]
    #[arg(long, env = "RINGBOOK_CA", value_name = "FILE", global = true, help_heading = "Server")]
    ca: Option<PathBuf>,
    /// File with an API key and its secret, readable by its owner only: two lines, or TOML with api_key
    /// and api_secret [default: the environment's RINGBOOK_API_KEY and RINGBOOK_API_SECRET; without
    /// them, and on this machine, what a server in development mode believes]
    #[arg(long, env = "RINGBOOK_CREDENTIAL_FILE", value_name = "FILE", global = true)]
    #[arg(help_heading = "Server")]
    credential_file: Option<PathBuf>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The owner of a key.
    Key {
        /// Its public half.
        key: KeyId,
        /// The other.
        secret: Secret,
    },
    /// Whom a server in development mode believes.
    Development {
        /// What it wants to hear.
        token: String,
    },
}

/// A server, and who asks it.
#[derive(Clone, Debug)]
pub struct Place {
    /// As it was written.
    pub url: String,
    /// Where it is.
    pub endpoint: Endpoint,
    /// Whom to believe that it is the server; without it there is no TLS.
    pub trust: Option<Trust>,
    /// Who asks.
    pub credential: Credential,
}

/// The environment, as far as it says who asks.
#[derive(Clone, Default)]
struct Variables {
    key: Option<String>,
    secret: Option<String>,
    token: Option<String>,
}

impl Variables {
    fn read() -> Variables {
        let read = |name| std::env::var(name).ok();
        Variables {
            key: read(KEY_VARIABLE),
            secret: read(SECRET_VARIABLE),
            token: read(TOKEN_VARIABLE),
        }
    }
}

impl PlaceArguments {
    /// Checks all of it.
    pub fn resolve(&self) -> Result<Place, Failure> {
        self.combine(&Variables::read()).map_err(|error| Failure::usage(format!("{error:#}")))
    }

    fn combine(&self, variables: &Variables) -> Result<Place> {
        let (scheme, endpoint) = Endpoint::parse_either(&self.url)?;
        let trust = match (scheme, &self.ca) {
            (Scheme::Https, Some(path)) => Some(Trust::of_file(path)?),
            (Scheme::Https, None) => Some(Trust::of_system()?),
            // A typing error here would send everything in the clear.
            (Scheme::Http, Some(_)) => {
                return Err(anyhow!("ca: {} speaks no TLS: write https://", self.url));
            }
            (Scheme::Http, None) => None,
        };
        let credential = self.credential(variables, &endpoint)?;
        Ok(Place { url: self.url.clone(), endpoint, trust, credential })
    }

    fn credential(&self, variables: &Variables, endpoint: &Endpoint) -> Result<Credential> {
        if let Some(path) = &self.credential_file {
            return read_credential(path).context("credential-file");
        }
        match (&variables.key, &variables.secret) {
            (Some(key), Some(secret)) => {
                let names = (KEY_VARIABLE, SECRET_VARIABLE);
                return parse_key(names, key, secret);
            }
            (Some(_), None) => return Err(anyhow!("{SECRET_VARIABLE}: is missing")),
            (None, Some(_)) => return Err(anyhow!("{KEY_VARIABLE}: is missing")),
            (None, None) => {}
        }
        ensure!(
            is_here(endpoint.host()),
            "credential-file: {} is no loopback address, so who asks must be proved: give a file with a \
             key and its secret, or {KEY_VARIABLE} and {SECRET_VARIABLE}",
            endpoint.host()
        );
        let token = variables.token.clone();
        let token = token.unwrap_or_else(|| Auth::DEVELOPMENT_ADMIN_TOKEN.to_owned());
        let is_header = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(is_header, "{TOKEN_VARIABLE}: must be printable ASCII and not empty");
        Ok(Credential::Development { token })
    }
}

impl Place {
    /// Whether others than this machine may see what is sent.
    pub fn is_open_to_eyes(&self) -> bool {
        self.trust.is_none() && !is_here(self.endpoint.host())
    }
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_key(names: (&str, &str), key: &str, secret: &str) -> Result<Credential> {
    let key = KeyId::parse(key.trim().as_bytes()).map_err(|rule| anyhow!("{}: {rule}", names.0))?;
    // What was given is not repeated: it may be most of a secret.
    let secret = Secret::parse(secret).map_err(|rule| anyhow!("{}: {rule}", names.1))?;
    Ok(Credential::Key { key, secret })
}

/// A credential as TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialTable {
    api_key: String,
    api_secret: String,
}

fn read_credential(path: &Path) -> Result<Credential> {
    let text = private_file::read(path)?;
    let parsed = parse_credential(&text);
    parsed.with_context(|| path.display().to_string())
}

fn parse_credential(text: &str) -> Result<Credential> {
    let names = ("api_key", "api_secret");
    if text.contains('=') {
        // Its own message shows the line, and so the secret.
        let table: Result<CredentialTable, _> = toml::from_str(text);
        let table = table.map_err(|_| anyhow!("must be TOML with api_key and api_secret"))?;
        return parse_key(names, &table.api_key, &table.api_secret);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let [key, secret] = lines[..] else {
        return Err(anyhow!("must have two lines, the key and its secret, or be TOML"));
    };
    parse_key(names, key, secret)
}

/// Writes what [`PlaceArguments`] reads.
pub fn write_credential(file: &mut std::fs::File, key: KeyId, secret: &str) -> Result<()> {
    writeln!(file, "api_key = \"{key}\"\napi_secret = \"{secret}\"")?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "rk_00c0ffee00c0ffee";

    fn arguments(url: &str) -> PlaceArguments {
        PlaceArguments { url: url.to_owned(), ca: None, credential_file: None }
    }

    fn variables(key: Option<&str>, secret: Option<&str>) -> Variables {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Variables { key: owned(key), secret: owned(secret), token: None }
    }

    fn error(url: &str, variables: &Variables) -> String {
        format!("{:#}", arguments(url).combine(variables).unwrap_err())
    }

    #[test]
    fn without_a_credential_only_this_machine_is_asked() {
        let none = Variables::default();
        for url in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            let place = arguments(url).combine(&none).unwrap();
            assert!(matches!(place.credential, Credential::Development { .. }), "{url}");
        }
        for url in ["http://10.0.0.1:1", "http://localhost.example:1", "http://127.0.0.1.example"] {
            assert!(error(url, &none).starts_with("credential-file"), "{url}");
            let secret = "ab".repeat(32);
            let place = arguments(url).combine(&variables(Some(KEY), Some(&secret))).unwrap();
            assert!(place.is_open_to_eyes(), "{url}");
        }
    }

    #[test]
    fn half_a_credential_or_a_bad_one_is_named_and_not_shown() {
        let url = "http://127.0.0.1:1";
        let secret = "ab".repeat(32);
        assert_eq!(error(url, &variables(Some(KEY), None)), "RINGBOOK_API_SECRET: is missing");
        assert_eq!(error(url, &variables(None, Some(&secret))), "RINGBOOK_API_KEY: is missing");
        let told = error(url, &variables(Some(KEY), Some("hush")));
        assert!(told.starts_with("RINGBOOK_API_SECRET") && !told.contains("hush"), "{told}");
        assert!(error(url, &variables(Some("me"), Some(&secret))).starts_with("RINGBOOK_API_KEY"));
    }

    #[test]
    fn a_file_has_two_lines_or_is_toml() {
        let secret = "ab".repeat(32);
        for text in [
            format!("{KEY}\n{secret}\n"),
            format!("\n  {KEY}  \r\n\r\n{secret}"),
            format!("api_secret = \"{secret}\"\napi_key = \"{KEY}\"\n"),
        ] {
            let parsed = parse_credential(&text).unwrap();
            let Credential::Key { key, secret: read } = parsed else { panic!("{text}") };
            assert_eq!((key.to_string(), read.reveal()), (KEY.to_owned(), secret.clone()));
        }
        for text in [
            String::new(),
            KEY.to_owned(),
            format!("{KEY}\n{secret}\nmore"),
            format!("api_key = \"{KEY}\""),
            format!("api_key = \"{KEY}\"\napi_secret = \"{secret}\"\nurl = \"x\""),
            format!("{KEY}\n{secret}0"),
        ] {
            let told = format!("{:#}", parse_credential(&text).unwrap_err());
            assert!(!told.contains(&secret), "{told}");
        }
    }

    #[test]
    fn certificates_without_tls_are_a_mistake() {
        let mut place = arguments("http://127.0.0.1:1");
        place.ca = Some("ca.pem".into());
        let told = format!("{:#}", place.combine(&Variables::default()).unwrap_err());
        assert!(told.starts_with("ca: "), "{told}");
    }
}
