//! The configuration of TLS: flags over the file. Without a certificate there is none.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use runtime::{TlsFiles, TlsVersion};
use serde::Deserialize;

/// Of `serve`. In the file they are in the table `[tls]`, without `tls_`.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsArguments {
    /// Speak only TLS, with this certificate and those that lead to its root, PEM; SIGHUP has it
    /// read again
    #[arg(long, env = "RINGBOOK_TLS_CERTIFICATE", value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, env = "RINGBOOK_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// The oldest version of TLS that a client may speak [default: 1.2]
    #[arg(long, env = "RINGBOOK_TLS_MIN_VERSION", value_enum, value_name = "VERSION")]
    tls_min_version: Option<Version>,
}

/// The table `[tls]` of the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    min_version: Option<Version>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
enum Version {
    /// Since 2008.
    #[value(name = "1.2")]
    #[serde(rename = "1.2")]
    Tls12,
    /// Since 2018.
    #[value(name = "1.3")]
    #[serde(rename = "1.3")]
    Tls13,
}

/// Puts flags and file together.
pub fn combine(flags: TlsArguments, file: TlsTable) -> Result<Option<TlsFiles>> {
    let certificate = flags.tls_certificate.or(file.certificate);
    let key = flags.tls_key.or(file.key);
    let min_version = flags.tls_min_version.or(file.min_version);
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let min_version = match min_version.unwrap_or(Version::Tls12) {
                Version::Tls12 => TlsVersion::Tls12,
                Version::Tls13 => TlsVersion::Tls13,
            };
            Ok(Some(TlsFiles { certificate, key, min_version }))
        }
        (Some(_), None) => bail!("tls.key: missing, and tls.certificate is of no use without it"),
        (None, Some(_)) => bail!("tls.certificate: missing, and tls.key is of no use without it"),
        (None, None) => {
            ensure!(min_version.is_none(), "tls.min_version: there is no tls.certificate");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> TlsTable {
        toml::from_str(text).expect("a table")
    }

    #[test]
    fn a_flag_is_stronger_than_the_file() {
        let flags = TlsArguments { tls_key: Some("flag.pem".into()), ..TlsArguments::default() };
        let file = file("certificate = \"a.pem\"\nkey = \"b.pem\"\nmin_version = \"1.3\"");
        let expected = TlsFiles {
            certificate: "a.pem".into(),
            key: "flag.pem".into(),
            min_version: TlsVersion::Tls13,
        };
        assert_eq!(combine(flags, file).expect("good"), Some(expected));
    }

    #[test]
    fn half_of_it_is_a_mistake_that_names_what_is_missing() {
        let flags = TlsArguments::default;
        assert_eq!(combine(flags(), file("")).expect("good"), None);
        for (text, name) in [
            ("certificate = \"a.pem\"", "tls.key"),
            ("key = \"a.pem\"", "tls.certificate"),
            ("min_version = \"1.2\"", "tls.min_version"),
        ] {
            let error = combine(flags(), file(text)).unwrap_err().to_string();
            assert!(error.starts_with(name), "{text}: {error}");
        }
    }
}
