//! TLS: the certificate that the listeners show, read again on `SIGHUP`.
//!
//! It promises that a server which starts with a certificate can use it, and that a file which
//! cannot be used later changes nothing. A new certificate is for new connections; open ones keep
//! the keys that they have agreed on.
//!
//! A connection begins in [`handshake`], as a future of futures-rustls. What is left of that, the
//! [`channel`], the socket drives itself: see [`crate::listener`] and docs/decisions/015.

pub(crate) mod channel;
pub(crate) mod handshake;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_rustls::TlsAcceptor;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::pem::{self, PemObject};
use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use futures_rustls::rustls::server::NoServerSessionStorage;
use futures_rustls::rustls::version::{TLS12, TLS13};
use futures_rustls::rustls::{self, ServerConfig, SupportedProtocolVersion};

/// Longest file with certificates or a key, in bytes.
const MAX_PEM_BYTES: u64 = 1 << 20;
/// What is spoken inside, as ALPN names it.
const PROTOCOL: &[u8] = b"http/1.1";

/// The oldest version that a client may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, with ephemeral keys and authenticated encryption alone.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Where the certificate is, and what is agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's certificate first, then those that lead to a root.
    pub certificate: PathBuf,
    /// PEM: its private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key: PathBuf,
    /// The oldest version.
    pub min_version: TlsVersion,
}

/// Why a certificate or a key cannot be used. Begins with the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{name}: cannot read {}: {cause}", path.display())]
    Read {
        /// The key of the configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// There is something else in it.
    #[error("{name}: {} is no PEM file with {expected}: {cause}", path.display())]
    Pem {
        /// The key of the configuration.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        cause: pem::Error,
    },
    /// They cannot be used, or not together.
    #[error(
        "tls.certificate: {} cannot be used with tls.key {}: {cause}",
        certificate.display(),
        key.display()
    )]
    Unusable {
        /// The file with the certificate.
        certificate: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// What is wrong.
        cause: rustls::Error,
    },
}

/// What the shards share: the configuration of the next handshake.
#[derive(Debug)]
pub(crate) struct Tls {
    files: TlsFiles,
    /// Locked once per handshake, for as long as it takes to count a reference.
    current: Mutex<Arc<ServerConfig>>,
}

impl Tls {
    pub fn load(files: TlsFiles) -> Result<Arc<Tls>, TlsError> {
        let current = Mutex::new(read(&files)?);
        Ok(Arc::new(Tls { files, current }))
    }

    /// Takes the files as they are now, if they can be used.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(&self.files)?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// For one handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone().into()
    }
}

/// What `SIGHUP` asks for.
pub(crate) fn hang_up(tls: Option<&Tls>) {
    let Some(tls) = tls else {
        return tracing::info!("SIGHUP: nothing to read again, there is no certificate");
    };
    let certificate = tls.files.certificate.display();
    match tls.reload() {
        Ok(()) => tracing::info!(%certificate, "SIGHUP: new connections get the certificate"),
        Err(error) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
    }
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let TlsFiles { certificate, key, min_version } = files;
    let not_pem = |name, path: &Path, expected| {
        let path = path.to_owned();
        move |cause| TlsError::Pem { name, path, expected, cause }
    };
    let name = "tls.certificate";
    let text = read_file(name, certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.and_then(|chain| match chain.is_empty() {
        true => Err(pem::Error::NoItemsFound),
        false => Ok(chain),
    });
    let chain = chain.map_err(not_pem(name, certificate, "a certificate"))?;
    let name = "tls.key";
    let text = read_file(name, key)?;
    let private = PrivateKeyDer::from_pem_slice(&text);
    let private = private.map_err(not_pem(name, key, "a private key that is not encrypted"))?;
    server_config(*min_version, chain, private).map_err(|cause| TlsError::Unusable {
        certificate: certificate.clone(),
        key: key.clone(),
        cause,
    })
}

fn read_file(name: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        // Opening a pipe would wait for who writes to it.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("no regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 {
            0..=MAX_PEM_BYTES => Ok(bytes),
            _ => Err(io::Error::other(format!("longer than {MAX_PEM_BYTES} bytes"))),
        }
    };
    read().map_err(|cause| TlsError::Read { name, path: path.to_owned(), cause })
}

fn server_config(
    min_version: TlsVersion,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    // Its suites are ECDHE with AES-GCM or ChaCha20-Poly1305, the strongest first.
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.ignore_client_order = true;
    // What a client needs to come back quickly it keeps itself, encrypted with keys that change:
    // no memory here, nothing shared between shards. A reload begins with new keys, so that every
    // client is shown the new certificate. Early data stays off: it could be replayed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}

#[cfg(test)]
pub(crate) mod tests;
