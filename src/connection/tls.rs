//! Whom a client believes to be the server that it asks for, and the handshake with it.

use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection over TLS.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Where systems keep the authorities that they trust; the first of these that is there counts.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// What OpenSSL looks at before those, and others with it.
const SYSTEM_VARIABLE: &str = "SSL_CERT_FILE";

/// The certificates that a server's must lead to.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those of a PEM file and no others. One of them may be the server's own.
    pub fn of_file(path: &Path) -> Result<Trust> {
        Trust::read(path, false).with_context(|| format!("ca: {}", path.display()))
    }

    /// Those that this machine trusts.
    pub fn of_system() -> Result<Trust> {
        let named = std::env::var_os(SYSTEM_VARIABLE).map(PathBuf::from);
        let known = SYSTEM_FILES.iter().map(PathBuf::from);
        let Some(path) = named.into_iter().chain(known).find(|path| path.exists()) else {
            bail!("ca: this machine has no list of authorities in {}", SYSTEM_FILES.join(", "));
        };
        Trust::read(&path, true).with_context(|| format!("ca: {}", path.display()))
    }

    /// A system's list may have something in it that nobody can read; one's own file must not.
    fn read(path: &Path, is_lenient: bool) -> Result<Trust> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).context("cannot be read")? {
            match (certificate, is_lenient) {
                (Ok(certificate), true) => {
                    let _ = roots.add(certificate);
                }
                (Ok(certificate), false) => roots.add(certificate).context("cannot be used")?,
                (Err(_), true) => {}
                (Err(error), false) => return Err(anyhow!("is no PEM: {error}")),
            }
        }
        if roots.is_empty() {
            bail!("has no certificate in it");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Trust(Arc::new(config)))
    }

    /// Makes a connection secure. The stream's own time limits hold.
    pub(super) fn handshake(&self, host: &str, mut stream: TcpStream) -> io::Result<TlsStream> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| io::Error::other(format!("{host} is no name for TLS")))?;
        let mut session = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(session, stream))
    }
}
