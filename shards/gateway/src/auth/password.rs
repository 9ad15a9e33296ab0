//! Passwords: argon2id, with the server's pepper. It takes tens of milliseconds on purpose, so it is a
//! [`PasswordJob`] that somebody beside the shards does.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::Auth;
use super::secrets::SECRET_BYTES;

/// Shortest password, in bytes.
pub const MIN_PASSWORD_BYTES: usize = 8;
/// Longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 256;
/// Digits of the generation that stand before the hash.
const GENERATION_DIGITS: usize = 8;
/// Memory of one hash, in KiB; with the passes, what OWASP recommends.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Random bytes of a salt.
const SALT_BYTES: usize = 16;

/// A password, which no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Of a text of any length.
    pub fn new(text: &str) -> Password {
        Password(text.to_owned())
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Whether a text may become a password; why not.
pub fn check_password(text: &str) -> Result<(), &'static str> {
    const RULE: &str = "must be 8 to 256 bytes long";
    let fits = (MIN_PASSWORD_BYTES..=MAX_PASSWORD_BYTES).contains(&text.len());
    fits.then_some(()).ok_or(RULE)
}

/// Something about passwords that takes long.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordJob {
    /// One to compare with a hash.
    verify: Option<(Password, String)>,
    /// One to hash.
    hash: Option<(Password, [u8; SALT_BYTES])>,
    /// The pepper of the hash to compare with.
    old_pepper: [u8; SECRET_BYTES],
    /// The pepper in use and its generation.
    pepper: ([u8; SECRET_BYTES], u32),
}

impl std::fmt::Debug for PasswordJob {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PasswordJob(…)")
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// The password to compare is not the one.
    Wrong,
    /// It is, or there was none to compare.
    Right {
        /// The hash of the other, for [`identity::UserChange::password_hash`].
        hash: Option<String>,
    },
}

impl Auth {
    /// A job that compares `given` with what is kept, and hashes `new`. Where nothing is kept, or with a
    /// forgotten secret, the job takes as long and says no.
    pub fn password_job(
        &self,
        given: Option<(Password, Option<&str>)>,
        new: Option<Password>,
        random: impl Fn(&mut [u8]),
    ) -> PasswordJob {
        let generation = self.secrets.generation();
        let pepper = self.secrets.pepper(generation).unwrap_or_default();
        let mut old_pepper = pepper;
        let verify = given.map(|(password, kept)| {
            let known = kept.and_then(|kept| kept.split_at_checked(GENERATION_DIGITS));
            let known = known.and_then(|(digits, hash)| {
                let generation = u32::from_str_radix(digits, 16).ok()?;
                Some((self.secrets.pepper(generation)?, hash))
            });
            let hash = known.map_or(String::new(), |(pepper, hash)| {
                old_pepper = pepper;
                hash.to_owned()
            });
            (password, hash)
        });
        let hash = new.map(|password| {
            let mut salt = [0; SALT_BYTES];
            random(&mut salt);
            (password, salt)
        });
        PasswordJob { verify, hash, old_pepper, pepper: (pepper, generation) }
    }
}

impl PasswordJob {
    /// Does it. Takes tens of milliseconds and 19 MiB.
    pub fn run(&self) -> PasswordVerdict {
        if let Some((given, kept)) = &self.verify
            && !is_right(given, kept, &self.old_pepper)
        {
            return PasswordVerdict::Wrong;
        }
        let hashed = self.hash.as_ref().map(|(new, salt)| self.hashed(new, salt));
        PasswordVerdict::Right { hash: hashed }
    }

    fn hashed(&self, new: &Password, salt: &[u8; SALT_BYTES]) -> String {
        let (pepper, generation) = &self.pepper;
        let salt = SaltString::encode_b64(salt).expect("16 bytes are a salt");
        let hash = argon2(pepper).hash_password(new.0.as_bytes(), &salt);
        let hash = hash.expect("length and parameters are within argon2's bounds");
        format!("{generation:08x}{hash}")
    }
}

fn argon2(pepper: &[u8]) -> Argon2<'_> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("within argon2's bounds");
    Argon2::new_with_secret(pepper, Algorithm::Argon2id, Version::V0x13, params)
        .expect("the pepper is within argon2's bounds")
}

fn is_right(given: &Password, kept: &str, pepper: &[u8]) -> bool {
    match PasswordHash::new(kept) {
        Ok(hash) => argon2(pepper).verify_password(given.0.as_bytes(), &hash).is_ok(),
        Err(_) => {
            // There is nothing to compare with; it must not show in the time.
            let salt = SaltString::encode_b64(&[0; SALT_BYTES]).expect("16 bytes are a salt");
            let _ = argon2(pepper).hash_password(given.0.as_bytes(), &salt);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Secret, Secrets};

    fn salt(bytes: &mut [u8]) {
        bytes.fill(9);
    }

    fn hashed(auth: &Auth, text: &str) -> String {
        match auth.password_job(None, Some(Password::new(text)), salt).run() {
            PasswordVerdict::Right { hash: Some(hash) } => hash,
            other => panic!("{other:?}"),
        }
    }

    fn verdict(auth: &Auth, text: &str, kept: Option<&str>) -> bool {
        let job = auth.password_job(Some((Password::new(text), kept)), None, salt);
        job.run() == PasswordVerdict::Right { hash: None }
    }

    #[test]
    fn only_the_password_of_the_hash_is_right() {
        let auth = Auth::development();
        let kept = hashed(&auth, "correct horse");
        assert!(kept.len() <= identity::MAX_PASSWORD_HASH_LENGTH_BYTES, "{kept}");
        assert!(kept.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(verdict(&auth, "correct horse", Some(&kept)));
        assert!(!verdict(&auth, "correct horsf", Some(&kept)));
        for nothing in [None, Some(""), Some("00000000"), Some("ü1234567$argon2id$")] {
            assert!(!verdict(&auth, "correct horse", nothing));
        }
    }

    #[test]
    fn a_stolen_hash_is_worth_nothing_without_the_secret() {
        let kept = hashed(&Auth::development(), "correct horse");
        let other = Secret::from_bytes([8; 32]);
        let secrets = Secrets::new(std::slice::from_ref(&other));
        let thief = Auth { secrets, ..Auth::development() };
        // Told that the hash is of its own secret, it still does not fit.
        let forged = format!("{:08x}{}", thief.secrets.generation(), &kept[8..]);
        assert!(!verdict(&thief, "correct horse", Some(&kept)));
        assert!(!verdict(&thief, "correct horse", Some(&forged)));
        let both = Secrets::new(&[other, Secret::from_bytes([7; 32])]);
        assert!(verdict(&Auth { secrets: both, ..thief }, "correct horse", Some(&kept)));
    }

    #[test]
    fn a_password_is_not_printed() {
        let job = Auth::development().password_job(None, Some(Password::new("hunter22")), salt);
        assert!(!format!("{job:?} {:?}", Password::new("hunter22")).contains("hunter"));
        assert!(check_password("hunter2").is_err() && check_password("hunter22").is_ok());
        assert!(check_password(&"x".repeat(257)).is_err());
    }
}
