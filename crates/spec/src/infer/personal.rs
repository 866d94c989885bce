//! Whether a column is likely about a person, by what its values are or by its name. What such a column holds goes into no text.

use super::{facts::ColumnFacts, names::tokens};

/// Fewer values could have a form by chance.
const ENOUGH: u64 = 3;

/// Names by their words, with what they are.
const NAMES: [(&[&str], &str); 26] = [
    (&["email"], "an e-mail address"),
    (&["e", "mail"], "an e-mail address"),
    (&["first", "name"], "a person's name"),
    (&["last", "name"], "a person's name"),
    (&["full", "name"], "a person's name"),
    (&["firstname"], "a person's name"),
    (&["lastname"], "a person's name"),
    (&["surname"], "a person's name"),
    (&["given", "name"], "a person's name"),
    (&["family", "name"], "a person's name"),
    (&["phone"], "a telephone number"),
    (&["mobile"], "a telephone number"),
    (&["telephone"], "a telephone number"),
    (&["street"], "an address"),
    (&["home", "address"], "an address"),
    (&["postal", "address"], "an address"),
    (&["birth", "date"], "a day of birth"),
    (&["birthdate"], "a day of birth"),
    (&["date", "of", "birth"], "a day of birth"),
    (&["dob"], "a day of birth"),
    (&["ssn"], "a social security number"),
    (&["passport"], "a passport number"),
    (&["iban"], "an account number"),
    (&["ip", "address"], "an IP address"),
    (&["salary"], "a salary"),
    (&["gender"], "a gender"),
];

/// Whether its values may stand in a proposal: not those of a person, nor those beside an address or an account of one.
pub(super) fn may_be_told(c: &ColumnFacts) -> bool {
    c.texts.emails == 0 && c.texts.ibans == 0 && evidence(c).is_none()
}

/// What speaks for it.
pub(super) fn evidence(c: &ColumnFacts) -> Option<String> {
    let t = &c.texts;
    let forms = [
        (t.emails, "e-mail addresses"),
        (t.ibans, "account numbers (IBAN)"),
        (t.cards, "numbers of payment cards"),
        (t.phones, "telephone numbers"),
        (t.addresses, "IP addresses"),
    ];
    let most = |n: u64| n >= ENOUGH && n >= c.values - c.values / 10;
    if let Some((_, what)) = forms.into_iter().find(|(n, _)| most(*n)) {
        return Some(format!("likely personal: the values are {what}"));
    }
    let name = tokens(&c.name);
    let named = |words: &&(&[&str], &str)| name.windows(words.0.len()).any(|w| w.iter().eq(words.0.iter()));
    NAMES.iter().find(named).map(|(_, what)| format!("likely personal: it is named like {what}"))
}
