//! glommio's errors as the system's.

use glommio::GlommioError;
use std::io;

/// An error of the system with glommio's context in its text and the original kind: glommio's own
/// conversion keeps one or the other.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}", path.as_deref().unwrap_or(std::path::Path::new("?")).display())]
struct OperationError {
    operation: &'static str,
    path: Option<std::path::PathBuf>,
    source: io::Error,
}

/// Converts an error of glommio, keeping the kind and naming operation and path.
pub(crate) fn io_error<T>(error: GlommioError<T>) -> io::Error {
    match error {
        GlommioError::EnhancedIoError { source, op, path, .. } => {
            let kind = source.kind();
            io::Error::new(kind, OperationError { operation: op, path, source })
        }
        other => other.into(),
    }
}
