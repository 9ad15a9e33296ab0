//! Access tokens as the server would make them, and as it would not: for who has its secret file, which
//! is a test and nobody else.

use ring::hmac;

/// What the server signs its tokens with.
pub struct Forge {
    tokens: hmac::Key,
    generation: String,
}

fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// Base64 for URLs, without padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |sum, at| sum << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        for place in 0..=group.len() {
            let digit = bits >> (18 - 6 * place) & 63;
            text.push(char::from(DIGITS[digit as usize]));
        }
    }
    text
}

impl Forge {
    /// Of the 64 hexadecimal digits of a secret file.
    pub fn new(digits: &str) -> Forge {
        let pairs = digits.trim().as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16);
        let secret: Vec<u8> = pairs.map(|pair| byte(pair).expect("digits")).collect();
        assert_eq!(secret.len(), 32);
        let root = hmac_key(&secret);
        let derive = |label: &[u8]| hmac::sign(&root, label);
        let generation = derive(b"ringbook generation");
        let generation = generation.as_ref()[..4].iter().map(|byte| format!("{byte:02x}"));
        Forge {
            tokens: hmac_key(derive(b"ringbook access tokens").as_ref()),
            generation: generation.collect(),
        }
    }

    /// The header that the server writes.
    pub fn header(&self) -> String {
        self.header_of("HS256", &self.generation)
    }

    pub fn header_of(&self, algorithm: &str, key: &str) -> String {
        format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"{key}"}}"#)
    }

    /// Signed rightly, whatever it says.
    pub fn token(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
        let tag = hmac::sign(&self.tokens, signed.as_bytes());
        format!("{signed}.{}", base64(tag.as_ref()))
    }

    /// A token of a session until a time in s.
    pub fn until(&self, user: u64, session: &str, expires_s: u64) -> String {
        let claims = format!(
            r#"{{"sub":"{user}","sid":"{session}","iat":{},"exp":{expires_s}}}"#,
            expires_s - 900
        );
        self.token(&self.header(), &claims)
    }
}

/// The session of a refresh token, which begins with it.
pub fn session_of(refresh_token: &str) -> &str {
    refresh_token.split('.').next().expect("a session")
}
