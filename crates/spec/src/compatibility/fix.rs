//! The way out of a change that breaks, in the words of the language that the schema is written in.

use super::{Change, Language, Mode, What};

/// The smallest change of the new version that keeps to `mode`, of a change that does not.
pub(super) fn of(change: &Change, mode: Mode, language: Language) -> String {
    let before = change.before.as_deref();
    let key = change.what.words();
    match change.what {
        What::ObjectAdded | What::ObjectRemoved => format!("keep the object `{}`", change.path),
        What::FieldAdded => added(change, mode, language).to_owned(),
        What::FieldRemoved if language == Language::JsonSchema && mode.backward() && change.breaks_backward => {
            "keep it: data that was written has it, and the schema is closed".to_owned()
        }
        What::FieldRemoved => format!("keep `{}`: readers insist on it", change.path),
        What::FieldRenamed => renamed(before.unwrap_or_default(), language),
        What::Type if language == Language::Odcs && before == Some("any") => {
            "leave out the type: any value could be there before".to_owned()
        }
        What::Type => {
            let before = before.unwrap_or("of before");
            format!("keep the type {before}; another type goes into an optional field of another name")
        }
        What::Required if change.breaks_backward => match language {
            Language::Odcs => "leave out `required`, or let the rule warn (`action: warn`)".to_owned(),
            Language::JsonSchema | Language::Avro => "leave out `required`, or give the field a default".to_owned(),
        },
        What::Required => "keep `required`".to_owned(),
        What::Values => values(change, mode, language),
        What::RuleAdded => "let the rule warn (`action: warn`), or leave it out".to_owned(),
        What::RuleRemoved | What::RuleChanged => format!("keep the rule: {}", before.unwrap_or_default()),
        What::Name => format!("keep the name {}, or list it under `aliases`", before.unwrap_or_default()),
        What::Minimum
        | What::Maximum
        | What::MinLength
        | What::MaxLength
        | What::Pattern
        | What::MultipleOf
        | What::MissingValues
        | What::MinItems
        | What::MaxItems
        | What::UniqueItems
        | What::MinProperties
        | What::MaxProperties
        | What::Size
        | What::Default
        | What::Format
        | What::Content
        | What::AdditionalProperties
        | What::PatternProperties
        | What::PropertyNames
        | What::Dependencies
        | What::Items
        | What::Contains
        | What::Alternatives
        | What::Not
        | What::Conditional
        | What::Schema => match (before, language) {
            (Some(before), _) => format!("keep `{key}` {before}"),
            (None, Language::Odcs) => format!("leave out `{key}`, or write it as a rule that warns"),
            (None, Language::JsonSchema | Language::Avro) => format!("leave out `{key}`"),
        },
    }
}

fn added(change: &Change, mode: Mode, language: Language) -> &'static str {
    match language {
        Language::Odcs => "leave out `required`: optional fields can be added",
        Language::JsonSchema if mode.forward() && change.breaks_forward => {
            "leave it out: readers have a closed schema (`additionalProperties`)"
        }
        Language::JsonSchema => "leave it out: data that was written may have it with any value",
        Language::Avro => "give it a default",
    }
}

fn renamed(before: &str, language: Language) -> String {
    match language {
        Language::Odcs | Language::JsonSchema => {
            format!("keep `{before}` as it is, and add the new name as an optional field")
        }
        Language::Avro => format!("keep `{before}` as it is, and add the new name as a field with a default"),
    }
}

fn values(change: &Change, mode: Mode, language: Language) -> String {
    let backward = mode.backward() && change.breaks_backward;
    let forward = mode.forward() && change.breaks_forward;
    let or = match language {
        Language::Avro => ", or give the enum a default",
        Language::Odcs | Language::JsonSchema => "",
    };
    match (&change.before, backward, forward) {
        (None, ..) => format!("leave out `{}`", change.what.words()),
        (Some(before), true, false) => format!("keep the values of before: {before}{or}"),
        (Some(before), false, true) => format!("use only values of before: {before}"),
        (Some(before), ..) => format!("keep the values {before}"),
    }
}
