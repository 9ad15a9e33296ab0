//! The secret of a server that was given none, which only the development mode allows: kept in the data
//! directory, so that keys survive a restart.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gateway::auth::{SECRET_BYTES, Secret};
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::{AuthConfig, NodeConfig, RunError};

/// Where it is, in the data directory.
const FILE: &str = "development.secret";
/// Who may read it.
const MODE: u32 = 0o600;

/// The configuration with a secret in any case.
pub(crate) fn complete(config: &NodeConfig) -> Result<AuthConfig, RunError> {
    let mut auth = config.auth.clone();
    if auth.secrets.is_empty() {
        let path = config.data.join(FILE);
        let secret = read_or_make(&path).map_err(|source| RunError::Secret { path, source })?;
        auth.secrets.push(secret);
    }
    Ok(auth)
}

fn read_or_make(path: &Path) -> std::io::Result<Secret> {
    match std::fs::read_to_string(path) {
        Ok(text) => Secret::parse(&text).map_err(|error| std::io::Error::other(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => make_secret(path),
        Err(error) => Err(error),
    }
}

/// Draws a secret and writes it to a new file that only its owner may read.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn make_secret(path: &Path) -> std::io::Result<Secret> {
    let mut bytes = [0; SECRET_BYTES];
    let random = SystemRandom::new().fill(&mut bytes);
    random.map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let secret = Secret::from_bytes(bytes);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(MODE).open(path)?;
    writeln!(file, "{}", secret.reveal())?;
    file.sync_all()?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_only() {
        let directory = TestDirectory::new("secrets");
        let path = directory.path().join(FILE);
        let secret = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), secret);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(make_secret(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        std::fs::write(&path, "no secret").unwrap();
        assert!(read_or_make(&path).unwrap_err().to_string().contains("64 hexadecimal digits"));
    }
}
