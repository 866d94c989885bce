//! An event as a message for people: the body that Slack's incoming webhooks take.
//!
//! Called by `webhook.rs`; pure, so that an event that is sent again is the same message.

use serde_json::{Value, json};

pub(super) fn body(event: &str) -> String {
    // Ours are JSON always. One that another version wrote differently is shown as it is.
    let text = serde_json::from_str(event).map_or_else(|_| escaped(event), |event: Value| text(&event));
    json!({ "text": text }).to_string()
}

fn text(event: &Value) -> String {
    let of = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let (subject, data) = (of(&event["subject"]), &event["data"]);
    let source = of(&event["source"]);
    match event["type"].as_str().unwrap_or_default() {
        "io.alluvium.alert.opened" => {
            let remedy = data["remedy"].as_str().map_or_else(String::new, |r| format!("\n{}", escaped(r)));
            format!(
                ":rotating_light: *{subject}*: {}{remedy}\n{source}, since {}. `{}`",
                of(&data["summary"]),
                of(&data["opened_at"]),
                of(&data["runbook"])
            )
        }
        "io.alluvium.alert.resolved" => {
            format!(
                ":white_check_mark: *{subject}*: over: {}\n{source}, from {} to {}",
                of(&data["summary"]),
                of(&data["opened_at"]),
                of(&data["resolved_at"])
            )
        }
        "io.alluvium.dataset.published" => {
            format!(
                "*{subject}*: version {} is published, {} rows. {source}",
                data["table_version"],
                rows(&data["rows"])
            )
        }
        kind => format!("*{subject}*: {}. {source}", escaped(kind)),
    }
}

/// Null where a later process found the commit.
fn rows(rows: &Value) -> String {
    rows.as_u64().map_or_else(|| "some".to_owned(), |n| n.to_string())
}

/// Without what Slack would read as a mention, a link or a format. It knows no escapes for formats, so these become characters that only
/// look like them; an underline within a word formats nothing, and stays.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let within = [before, chars.peek().copied()].iter().all(|c| c.is_some_and(char::is_alphanumeric));
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\''),
            '*' => out.push('\u{2217}'),
            '~' => out.push('\u{223c}'),
            '_' if !within => out.push('\u{ff3f}'),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_data_says_mentions_nobody() {
        let event = json!({
            "type": "io.alluvium.alert.opened", "subject": "silver.a", "source": "/shop/dev",
            "data": { "summary": "<!channel> & more", "opened_at": "now", "runbook": "alluvium explain F0175" },
        });
        let body: Value = serde_json::from_str(&body(&event.to_string())).expect("a body");
        let text = body["text"].as_str().expect("a text");
        assert!(text.contains("&lt;!channel&gt; &amp; more") && text.contains("`alluvium explain F0175`"), "{text}");
    }

    #[test]
    fn what_data_says_formats_nothing() {
        assert_eq!(
            escaped("`rm` *all* ~of~ _it_ a_b"),
            "'rm' \u{2217}all\u{2217} \u{223c}of\u{223c} \u{ff3f}it\u{ff3f} a_b"
        );
    }

    #[test]
    fn an_event_that_is_no_alert_is_a_line() {
        let event = json!({
            "type": "io.alluvium.dataset.published", "subject": "silver.a", "source": "/shop/dev",
            "data": { "table_version": 3, "rows": null },
        });
        assert!(body(&event.to_string()).contains("version 3 is published, some rows"));
        assert!(body("none").contains("none"));
    }
}
