//! What is shown in a message, or in the address of a WebSocket, instead of in headers.

use money::UserId;

use super::caller::Caller;
use super::error::AuthError;
use super::signature::{Seal, SignedText};
use super::{Auth, Judge};

/// Text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: &str) -> Hidden {
        Hidden(text.to_owned())
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hidden(…)")
    }
}

/// Who a client says that it is, and what it shows for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This user, in development mode; whether it exists is for its home shard to say.
    User(UserId),
    /// An access token, or a key and its secret with a dot between them.
    Token(Hidden),
    /// A key and its secret.
    Secret {
        /// The public half.
        key: String,
        /// The other.
        secret: Hidden,
    },
    /// A key, and a signature of `timestamp + "GET" + target`.
    Signed {
        /// The public half.
        key: String,
        /// As it stands in the message.
        timestamp: String,
        /// As it stands in the message.
        signature: String,
        /// The path of the WebSocket.
        target: &'static str,
    },
}

impl Auth {
    /// Who shows this.
    ///
    /// # Errors
    /// Nobody that is believed.
    pub fn caller_of(
        &self,
        judge: &Judge<'_>,
        shown: &Shown,
    ) -> Result<(Caller, Option<Seal>), AuthError> {
        match shown {
            Shown::User(_) if !self.is_development => Err(AuthError::DevelopmentOnly("user_id")),
            Shown::User(user) => Ok((Caller::development(*user, judge.identities), None)),
            Shown::Token(token) => {
                let caller = match token.0.split_once('.') {
                    Some((key, secret)) if key.starts_with("rk_") => {
                        self.caller_of_secret(judge, key.as_bytes(), secret.as_bytes())
                    }
                    _ => self.caller_of_token(judge, &token.0),
                };
                Ok((caller?, None))
            }
            Shown::Secret { key, secret } => {
                let secret = secret.0.as_bytes();
                Ok((self.caller_of_secret(judge, key.as_bytes(), secret)?, None))
            }
            Shown::Signed { key, timestamp, signature, target } => {
                let text = SignedText {
                    timestamp: timestamp.as_bytes(),
                    method: b"GET",
                    target: target.as_bytes(),
                    body: b"",
                };
                let given = signature.as_bytes();
                let (caller, seal) =
                    self.caller_of_signature(judge, key.as_bytes(), &text, given)?;
                Ok((caller, Some(seal)))
            }
        }
    }
}
