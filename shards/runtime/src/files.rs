//! The files of `static_dir`, read once at the start and served from memory: no shard ever waits for a
//! file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Most files.
const MAX_FILES: usize = 1_000;
/// Longest file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Deepest directory below the first.
const MAX_DEPTH: usize = 16;
/// What a directory itself shows.
const INDEX: &str = "index.html";

/// Why the files cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// One cannot be read.
    #[error("static_dir: {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is more than is kept in memory.
    #[error("static_dir: {}: {what}", path.display())]
    TooMuch {
        /// Where.
        path: PathBuf,
        /// Which bound.
        what: &'static str,
    },
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StaticFile {
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

/// All of them, by the path of a request.
#[derive(Debug, Default)]
pub(crate) struct StaticFiles {
    by_path: HashMap<String, StaticFile>,
}

impl StaticFiles {
    /// Reads a directory and those below it. Hidden files and links are left out, so that nothing is
    /// served that is not there on purpose.
    pub fn read(directory: &Path) -> Result<StaticFiles, FilesError> {
        let mut files = StaticFiles::default();
        files.read_below(directory, "/", 0)?;
        Ok(files)
    }

    fn read_below(
        &mut self,
        directory: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), FilesError> {
        let too_much = |path: &Path, what| FilesError::TooMuch { path: path.to_owned(), what };
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| FilesError::Read { path, source }
        };
        if depth > MAX_DEPTH {
            return Err(too_much(directory, "directories are nested too deep"));
        }
        for entry in std::fs::read_dir(directory).map_err(failed(directory))? {
            let entry = entry.map_err(failed(directory))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed(&path))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                self.read_below(&path, &format!("{prefix}{name}/"), depth + 1)?;
            } else if kind.is_file() {
                if self.by_path.len() >= MAX_FILES {
                    return Err(too_much(directory, "more than 1,000 files"));
                }
                if entry.metadata().map_err(failed(&path))?.len() > MAX_FILE_BYTES {
                    return Err(too_much(&path, "longer than 4 MiB"));
                }
                let body = std::fs::read(&path).map_err(failed(&path))?;
                let content_type = content_type(&name);
                let key = if name == INDEX { prefix.to_owned() } else { format!("{prefix}{name}") };
                self.by_path.insert(key, StaticFile { content_type, body });
            }
        }
        Ok(())
    }

    /// The file at a path. A directory's is its `index.html`, under either name.
    pub fn get(&self, path: &str) -> Option<&StaticFile> {
        self.by_path
            .get(path.strip_suffix(INDEX).filter(|rest| rest.ends_with('/')).unwrap_or(path))
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_directory::TestDirectory;

    #[test]
    fn only_what_is_there_on_purpose_is_served() {
        let directory = TestDirectory::new("files");
        let root = directory.path();
        std::fs::create_dir_all(root.join("app/.git")).unwrap();
        for (name, text) in [
            ("index.html", "root"),
            ("app/index.html", "app"),
            ("app/main.js", "code"),
            ("app/.env", "secret"),
            ("app/.git/config", "secret"),
        ] {
            std::fs::write(root.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", root.join("passwd")).unwrap();
        let files = StaticFiles::read(root).unwrap();
        let body = |path| files.get(path).map(|file| String::from_utf8(file.body.clone()).unwrap());
        for (path, text) in [
            ("/", Some("root")),
            ("/index.html", Some("root")),
            ("/app/", Some("app")),
            ("/app/index.html", Some("app")),
            ("/app/main.js", Some("code")),
            ("/app/.env", None),
            ("/app/.git/config", None),
            ("/passwd", None),
            ("/../index.html", None),
            ("/app", None),
        ] {
            assert_eq!(body(path).as_deref(), text, "{path}");
        }
        let code = files.get("/app/main.js").unwrap();
        assert_eq!(code.content_type, "text/javascript; charset=utf-8");
    }

    #[test]
    fn too_long_a_file_is_named() {
        let directory = TestDirectory::new("files-long");
        let path = directory.path().join("film.bin");
        std::fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = StaticFiles::read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("film.bin") && error.contains("4 MiB"), "{error}");
        let missing = StaticFiles::read(&directory.path().join("missing")).unwrap_err();
        assert!(missing.to_string().starts_with("static_dir: "), "{missing}");
    }
}
