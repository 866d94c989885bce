//! What a sink is told of an alert: one CloudEvent when it opens, and one when it is resolved.

use super::conditions::remedy;
use crate::{
    endings::to,
    event_types::{ALERT_OPENED, ALERT_RESOLVED},
    publication::Envelope,
};
use alluvium_spec::Project;
use alluvium_store::{Alert, AlertChange};
use jiff::Timestamp;
use serde_json::json;

/// The command that prints what to do.
pub fn runbook(code: Option<&str>) -> String {
    code.map_or_else(|| "alluvium show dead-letters".to_owned(), |code| format!("alluvium explain {code}"))
}

pub(super) fn told(project: &Project, alert: Alert, now: Timestamp) -> AlertChange {
    let (state, kind) = match alert.resolved_at {
        None => ("open", &ALERT_OPENED),
        Some(_) => ("resolved", &ALERT_RESOLVED),
    };
    let event_id = format!("alert-{}-{state}", alert.id);
    let data = json!({
        "alert": alert.id,
        "state": state,
        "kind": alert.kind,
        "subject": alert.subject,
        "code": alert.code,
        "summary": alert.summary,
        "remedy": alert.code.as_deref().and_then(remedy),
        "opened_at": alert.opened_at.to_string(),
        "resolved_at": alert.resolved_at.map(|at| at.to_string()),
        "runbook": runbook(alert.code.as_deref()),
    });
    let event = Envelope { project, id: &event_id, kind, subject: &alert.subject, at: now }.event(&data);
    let publish = to(&project.alerts, &event);
    AlertChange { alert, event_id, publish }
}
