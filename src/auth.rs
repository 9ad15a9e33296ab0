//! The configuration of who may ask: the mode, the server's secret, who sees the metrics.
//!
//! A secret comes from a file that only its owner may read, or from the environment; never from a flag,
//! which every process of the machine can see, and never from the configuration file, which people copy.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use gateway::auth::{Auth, Secret};
use identity::Network;
use runtime::AuthConfig;
use serde::Deserialize;

use crate::private_file;

/// Where a secret is looked for when there is no file.
const SECRET_VARIABLE: &str = "RINGBOOK_SECRET";
/// The same of the one before.
const PREVIOUS_SECRET_VARIABLE: &str = "RINGBOOK_PREVIOUS_SECRET";
/// Who sees the metrics where nothing else is said: this machine.
const METRICS_FROM: &str = "127.0.0.0/8,::1";

/// Of `serve`, and its keys in the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthArguments {
    /// development believes X-User-ID and X-Admin-Token, on a loopback address only; production wants
    /// signed requests or tokens [default: production if there is a secret, else development]
    #[arg(long, env = "RINGBOOK_AUTH", value_enum, value_name = "MODE")]
    pub auth: Option<Mode>,
    /// File with the server's secret, 64 hexadecimal digits, readable by its owner only; or the
    /// environment variable RINGBOOK_SECRET
    #[arg(long, env = "RINGBOOK_SECRET_FILE", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// File with the secret before, so that keys, passwords and tokens made with it go on; or
    /// RINGBOOK_PREVIOUS_SECRET
    #[arg(long, env = "RINGBOOK_PREVIOUS_SECRET_FILE", value_name = "FILE")]
    pub previous_secret_file: Option<PathBuf>,
    /// What administrators send as X-Admin-Token, in development mode [default: dev-admin]
    #[arg(long, env = "RINGBOOK_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Networks that see /metrics without saying who they are, in production [default:
    /// 127.0.0.0/8,::1]
    #[arg(long, env = "RINGBOOK_METRICS_FROM", value_name = "LIST")]
    pub metrics_from: Option<String>,
}

/// How callers say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They just say it.
    Development,
    /// They prove it.
    Production,
}

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    secret: Option<String>,
    previous: Option<String>,
}

impl Variables {
    /// That of this process.
    pub fn read() -> Variables {
        let read = |name| std::env::var(name).ok();
        Variables { secret: read(SECRET_VARIABLE), previous: read(PREVIOUS_SECRET_VARIABLE) }
    }
}

/// Puts flags, file, environment and defaults together.
pub fn combine(
    flags: AuthArguments,
    file: AuthArguments,
    variables: &Variables,
    host: IpAddr,
) -> Result<AuthConfig> {
    let secrets = secrets(&flags, &file, variables)?;
    let mode = flags.auth.or(file.auth).unwrap_or(match secrets.is_empty() {
        true => Mode::Development,
        false => Mode::Production,
    });
    let is_development = mode == Mode::Development;
    if is_development {
        check_host(host)?;
    }
    ensure!(
        is_development || !secrets.is_empty(),
        "secret_file: production needs the server's secret, here or in {SECRET_VARIABLE}; \
         `ringbook admin init` makes one"
    );
    let given = flags.admin_token.or(file.admin_token);
    ensure!(
        is_development || given.is_none(),
        "admin_token: is for the development mode only; in production administrators have the role ADMIN"
    );
    let admin_token = given.unwrap_or_else(|| Auth::DEVELOPMENT_ADMIN_TOKEN.to_owned());
    ensure!(is_header_value(&admin_token), "admin_token: must be printable ASCII and not empty");
    let networks = flags.metrics_from.or(file.metrics_from);
    Ok(AuthConfig {
        is_development,
        admin_token: is_development.then_some(admin_token),
        secrets,
        metrics_from: networks_of(networks.as_deref().unwrap_or(METRICS_FROM))?,
    })
}

/// Development authentication believes whoever can reach the port.
pub fn check_host(host: IpAddr) -> Result<()> {
    if !host.is_loopback() {
        bail!(
            "host: {host} is no loopback address, and with development authentication whoever reaches \
             the port may trade as anybody; give the server a secret_file, or use 127.0.0.1 or ::1"
        );
    }
    Ok(())
}

fn secrets(
    flags: &AuthArguments,
    file: &AuthArguments,
    variables: &Variables,
) -> Result<Vec<Secret>> {
    let current = one_secret(
        "secret_file",
        flags.secret_file.as_deref().or(file.secret_file.as_deref()),
        (SECRET_VARIABLE, variables.secret.as_deref()),
    )?;
    let previous = one_secret(
        "previous_secret_file",
        flags.previous_secret_file.as_deref().or(file.previous_secret_file.as_deref()),
        (PREVIOUS_SECRET_VARIABLE, variables.previous.as_deref()),
    )?;
    ensure!(
        current.is_some() || previous.is_none(),
        "previous_secret_file: is of no use without secret_file"
    );
    Ok(current.into_iter().chain(previous).collect())
}

fn one_secret(
    key: &str,
    path: Option<&Path>,
    (name, value): (&str, Option<&str>),
) -> Result<Option<Secret>> {
    match (path, value) {
        (Some(path), _) => read_secret(path).with_context(|| key.to_owned()).map(Some),
        (None, Some(text)) => {
            Secret::parse(text).map(Some).map_err(|error| anyhow!("{name}: {error}"))
        }
        (None, None) => Ok(None),
    }
}

/// Reads a secret from its file.
pub fn read_secret(path: &Path) -> Result<Secret> {
    let text = private_file::read(path)?;
    Secret::parse(&text).map_err(|error| anyhow!("{} {error}", path.display()))
}

fn networks_of(list: &str) -> Result<Vec<Network>> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| Network::parse(part).map_err(|error| anyhow!("metrics_from: {part:?} {error}")))
        .collect()
}

fn is_header_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    fn with_secret() -> Variables {
        Variables { secret: Some("ab".repeat(32)), previous: None }
    }

    fn load(text: &str, variables: &Variables, host: IpAddr) -> Result<AuthConfig> {
        combine(AuthArguments::default(), toml::from_str(text)?, variables, host)
    }

    fn error(text: &str, variables: &Variables, host: IpAddr) -> String {
        format!("{:#}", load(text, variables, host).unwrap_err())
    }

    #[test]
    fn the_world_is_not_served_without_a_secret() {
        let none = Variables::default();
        assert!(error("", &none, ELSEWHERE).starts_with("host: 0.0.0.0"));
        assert!(error("auth = \"development\"", &with_secret(), ELSEWHERE).starts_with("host"));
        assert!(error("auth = \"production\"", &none, HERE).starts_with("secret_file"));
        assert!(load("", &none, HERE).unwrap().is_development);
        let production = load("", &with_secret(), ELSEWHERE).unwrap();
        assert!(!production.is_development && production.admin_token.is_none());
    }

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "ab".repeat(32)).unwrap();
        let permit = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        permit(0o640);
        let text = format!("secret_file = {:?}", path.display().to_string());
        let none = Variables::default();
        assert!(error(&text, &none, HERE).contains("chmod 600"));
        permit(0o600);
        assert_eq!(load(&text, &none, HERE).unwrap().secrets.len(), 1);
        std::fs::write(&path, "no").unwrap();
        let told = error(&text, &none, HERE);
        assert!(told.contains("secret_file") && told.contains("64 hexadecimal"), "{told}");
    }

    #[test]
    fn what_has_no_meaning_in_a_mode_is_refused() {
        assert!(error("admin_token = \"x\"", &with_secret(), HERE).starts_with("admin_token"));
        assert!(
            error("admin_token = \"\"", &Variables::default(), HERE).starts_with("admin_token")
        );
        let alone = Variables { secret: None, previous: Some("ab".repeat(32)) };
        assert!(error("", &alone, HERE).starts_with("previous_secret_file"));
        let told = error("metrics_from = \"10.0.0.0/33\"", &Variables::default(), HERE);
        assert!(told.starts_with("metrics_from"), "{told}");
        let bad = Variables { secret: Some("xyz".into()), previous: None };
        let told = error("", &bad, HERE);
        assert!(told.starts_with("RINGBOOK_SECRET") && !told.contains("xyz"), "{told}");
    }
}
