//! Forms that a text can have. Each is at least as strict as the check that a contract makes of it.

pub(super) fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.split_once('@') else { return false };
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let of_user = |b: u8| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_{|}~-".contains(&b);
    !user.is_empty() && user.bytes().all(of_user) && host.contains('.') && host.split('.').all(label)
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

pub(super) fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

pub(super) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let first = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let of_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+.-".contains(&b);
    first && scheme.bytes().all(of_scheme) && !rest.is_empty() && !rest.contains(char::is_whitespace)
}

/// In the form that is the same everywhere: `+`, then 8 to 15 digits, perhaps in groups.
pub(super) fn is_phone(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('+') else { return false };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    (8..=15).contains(&digits) && rest.bytes().all(|b| b.is_ascii_digit() || b" -()./".contains(&b))
}

/// With its check digits.
pub(super) fn is_iban(text: &str) -> bool {
    if text.len() < 15 || !text.as_bytes()[0].is_ascii_uppercase() {
        return false;
    }
    let text: Vec<u8> = text.bytes().filter(|b| *b != b' ').collect();
    let [a, b, c, d, rest @ ..] = text.as_slice() else { return false };
    if !(11..=30).contains(&rest.len()) || ![a, b].iter().all(|l| l.is_ascii_uppercase()) {
        return false;
    }
    let moved = rest.iter().chain([a, b, c, d]);
    let mut left = 0_u32;
    for byte in moved {
        left = match byte {
            b'0'..=b'9' => left * 10 + u32::from(byte - b'0'),
            b'A'..=b'Z' => left * 100 + u32::from(byte - b'A') + 10,
            _ => return false,
        } % 97;
    }
    left == 1
}

/// 13 to 19 digits, the last of which checks the others.
pub(super) fn is_card(text: &str) -> bool {
    if text.len() < 13 || !text.as_bytes()[0].is_ascii_digit() {
        return false;
    }
    let digits: Vec<u8> = text.bytes().filter(|b| !b" -".contains(b)).collect();
    if !(13..=19).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| match (u32::from(b - b'0'), i % 2) {
            (d, 0) => d,
            (d, _) => 2 * d / 10 + 2 * d % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether the name of a field is a value that somebody or something is known by: no letter, many digits in a row, an address.
pub(super) fn is_value(name: &str) -> bool {
    let digits = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    let numbered = || name.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() >= NUMBERED);
    let address = || name.contains("://") || name.find('@').is_some_and(|at| at > 0);
    (digits(name) && (!name.contains(char::is_alphabetic) || numbered())) || address() || is_uuid(name) || is_iban(name)
}

/// So many digits in a row are no year, and no version of a standard.
const NUMBERED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_values_are_told_from_names() {
        for value in [
            "ann@example.org",
            "josé@beispiel.de",
            "+49 30 1234567",
            "4711",
            "2013-01-31",
            "192.0.2.17",
            "user_18321",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "https://example.org/a",
            "DE89370400440532013000",
        ] {
            assert!(is_value(value), "{value}");
        }
        for name in ["", "id", "address_line_1", "iso8601", "x86_64", "@type", "$", "_", "straße", "p99", "sha256"] {
            assert!(!is_value(name), "{name}");
        }
    }

    #[test]
    fn forms_are_told_apart() {
        let all = |text: &str| {
            [
                is_email(text),
                is_uuid(text),
                is_address(text),
                is_url(text),
                is_phone(text),
                is_iban(text),
                is_card(text),
            ]
        };
        for (text, want) in [
            ("ann.lee+x@mail.example.org", Some(0)),
            ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", Some(1)),
            ("192.0.2.17", Some(2)),
            ("https://example.org/a?b=c", Some(3)),
            ("+49 (30) 1234-567", Some(4)),
            ("DE89 3704 0044 0532 0130 00", Some(5)),
            ("4111 1111 1111 1111", Some(6)),
            ("a@b", None),
            ("@example.org", None),
            ("a b@example.org", None),
            ("256.1.1.1", None),
            ("://x", None),
            ("+1", None),
            ("DE88370400440532013000", None),
            ("4111111111111112", None),
            ("", None),
            ("é", None),
        ] {
            let found = all(text);
            assert_eq!(found.iter().position(|f| *f), want, "{text}");
            assert!(found.iter().filter(|f| **f).count() <= 1, "{text}");
        }
    }
}
