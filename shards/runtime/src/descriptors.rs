//! File descriptors: each connection takes one, and what a process may have by default is often 1,024.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises what this process may have to what the system allows it. Returns that number.
pub fn raise_limit() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afterwards_all_that_is_allowed_may_be_used() {
        let allowed = raise_limit().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (allowed, allowed));
    }
}
