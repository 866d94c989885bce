//! Signatures of HTTP calls as [Standard Webhooks](https://www.standardwebhooks.com) writes them: made and checked.
//!
//! Called by the outbox, which signs, and by the API, which checks. Keys come from the environment and are shown nowhere.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::hmac;

pub(crate) const ID: &str = "webhook-id";
pub(crate) const TIMESTAMP: &str = "webhook-timestamp";
pub(crate) const SIGNATURE: &str = "webhook-signature";

const PREFIX: &str = "whsec_";
/// Bytes of a key.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Signatures in one header that are looked at.
const MOST_SIGNATURES: usize = 16;

pub(crate) struct Key(hmac::Key);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// From `whsec_` and 24 to 64 bytes as Base64.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        LENGTHS.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

fn signed(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(id.len() + timestamp.len() + body.len() + 2);
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        text.extend_from_slice(part);
    }
    text
}

/// The header's value: one signature a key.
pub(crate) fn sign(keys: &[Key], id: &str, timestamp: &str, body: &[u8]) -> String {
    let text = signed(id, timestamp, body);
    let one = |key: &Key| format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&key.0, &text)));
    keys.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Whether one of the header's signatures was made with one of the keys. Takes as long for a wrong one as for a right one.
pub(crate) fn holds(keys: &[Key], id: &str, timestamp: &str, body: &[u8], header: &str) -> bool {
    let text = signed(id, timestamp, body);
    let given = header.split(' ').take(MOST_SIGNATURES).filter_map(|s| s.strip_prefix("v1,"));
    let given: Vec<Vec<u8>> = given.filter_map(|s| BASE64_STANDARD.decode(s).ok()).collect();
    keys.iter().any(|key| given.iter().any(|signature| hmac::verify(&key.0, &text, signature).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(text: &str) -> Key {
        Key::read(text).expect("a key")
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_there() {
        assert_eq!(sign(&[key(SECRET)], ID, TIMESTAMP, BODY), SIGNED);
        assert!(holds(&[key(SECRET)], ID, TIMESTAMP, BODY, SIGNED));
    }

    #[test]
    fn what_was_changed_is_not_signed() {
        let keys = [key(SECRET)];
        assert!(!holds(&keys, "msg_other", TIMESTAMP, BODY, SIGNED));
        assert!(!holds(&keys, ID, "1614265331", BODY, SIGNED));
        assert!(!holds(&keys, ID, TIMESTAMP, b"{}", SIGNED));
        for header in ["", "v1,", "v1", "v1,????", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,AAAA"] {
            assert!(!holds(&keys, ID, TIMESTAMP, BODY, header), "{header}");
        }
    }

    #[test]
    fn keys_can_be_changed_one_after_the_other() {
        let new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
        let both = [key(SECRET), key(new)];
        let header = sign(&both, ID, TIMESTAMP, BODY);
        assert!(holds(&[key(SECRET)], ID, TIMESTAMP, BODY, &header));
        assert!(holds(&[key(new)], ID, TIMESTAMP, BODY, &header));
        assert!(holds(&both, ID, TIMESTAMP, BODY, SIGNED));
        assert!(!holds(&[key(new)], ID, TIMESTAMP, BODY, SIGNED));
    }

    #[test]
    fn a_key_has_its_form_and_is_not_shown() {
        for wrong in
            ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 at all, really?"]
        {
            assert!(Key::read(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{:?}", key(SECRET)), "Key");
    }
}
