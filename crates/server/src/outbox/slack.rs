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

/// What Slack would read as a mention or a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
    fn an_event_that_is_no_alert_is_a_line() {
        let event = json!({
            "type": "io.alluvium.dataset.published", "subject": "silver.a", "source": "/shop/dev",
            "data": { "table_version": 3, "rows": null },
        });
        assert!(body(&event.to_string()).contains("version 3 is published, some rows"));
        assert!(body("none").contains("none"));
    }
}
