//! SCRAM-SHA-256 (RFC 5802, RFC 7677): the server learns that we know the password, and not the password; we learn that
//! the server knows it too.
//!
//! Called by `wire.rs` while it logs in. No channel binding: TLS is verified by the host's name.

use super::WireError;
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    digest, hmac, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};
use std::num::NonZeroU32;

pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// More rounds than this would only keep the client busy.
const MOST_ROUNDS: u32 = 1_000_000;

pub(super) struct Scram {
    password: String,
    nonce: String,
}

/// What proves the server, once it has accepted our proof.
pub(super) struct Expected(Vec<u8>);

impl Scram {
    pub(super) fn new(password: String) -> Result<Self, WireError> {
        let mut bytes = [0; 18];
        SystemRandom::new().fill(&mut bytes).map_err(|_| WireError::Login("the system has no randomness"))?;
        Ok(Self { password, nonce: STANDARD.encode(bytes) })
    }

    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    /// The user is the one of the connection.
    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    pub(super) fn answer(&self, challenge: &str) -> Result<(String, Expected), WireError> {
        let wrong = WireError::Login("the server's challenge is not one of SCRAM-SHA-256");
        let mut parts = challenge.split(',');
        let mut part = |name: &str| parts.next().and_then(|p| p.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(rounds)) = (part("r="), part("s="), part("i=")) else { return Err(wrong) };
        let (Ok(salt), Ok(rounds)) = (STANDARD.decode(salt), rounds.parse::<NonZeroU32>()) else { return Err(wrong) };
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() || rounds.get() > MOST_ROUNDS {
            return Err(wrong);
        }
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, self.password.as_bytes(), &mut salted);
        let client = keyed(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client.as_ref());
        let last = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{last}", self.bare());
        let signature = keyed(stored.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let server = keyed(keyed(&salted, b"Server Key").as_ref(), signed.as_bytes());
        Ok((format!("{last},p={}", STANDARD.encode(proof)), Expected(server.as_ref().to_vec())))
    }
}

impl Expected {
    pub(super) fn check(&self, last: &str) -> Result<(), WireError> {
        let signature = last.strip_prefix("v=").and_then(|s| STANDARD.decode(s).ok());
        match signature.is_some_and(|s| s == self.0) {
            true => Ok(()),
            false => Err(WireError::Login("the server does not know the password")),
        }
    }
}

fn keyed(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3, with the user left out as PostgreSQL does; the proof is computed elsewhere.
    #[test]
    fn an_exchange_is_as_the_standard_says() {
        let scram = Scram { password: "pencil".into(), nonce: "rOprNGfwEbeRWgbNEkqO".into() };
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, expected) = scram.answer(challenge).expect("a challenge");
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k="
        );
        assert!(expected.check("v=AAAA").is_err());
        assert!(expected.check(&format!("v={}", STANDARD.encode(&expected.0))).is_ok());
    }

    #[test]
    fn a_challenge_that_is_none_is_refused() {
        let scram = Scram { password: "pencil".into(), nonce: "abc".into() };
        for challenge in [
            "",
            "r=abc,s=AAAA,i=4096",
            "r=other,s=AAAA,i=4096",
            "r=abcd,s=AAAA,i=0",
            "r=abcd,s=AAAA,i=4000000000",
            "r=abcd,s=?,i=1",
            "e=other-error",
        ] {
            assert!(scram.answer(challenge).is_err(), "{challenge}");
        }
    }
}
