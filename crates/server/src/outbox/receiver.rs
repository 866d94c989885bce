//! A sink, with what the environment knows of it: whereto, and signed with which keys.
//!
//! Made anew for each round, so that a variable that was missing is found once the process has it.

use super::{address::Allowed, error::SinkError};
use crate::signature::Key;
use alluvium_spec::{BodyFormat, Secret, Sink, Webhook, WebhookAddress, WebhookUrl};
use ring::digest;
use std::path::PathBuf;

/// The environment's variables, by name.
pub type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

pub(super) enum Receiver {
    Files(PathBuf),
    Webhook(Box<Target>),
}

pub(super) struct Target {
    pub(super) url: WebhookUrl,
    pub(super) format: BodyFormat,
    pub(super) keys: Vec<Key>,
    pub(super) allowed: Allowed,
}

impl Receiver {
    pub(super) fn of(sink: &Sink, variables: &Variables) -> Result<Self, SinkError> {
        match sink {
            Sink::Files { folder } => Ok(Self::Files(folder.clone())),
            Sink::Webhook(hook) => Ok(Self::Webhook(Box::new(Target {
                url: url(hook, variables)?,
                format: hook.format,
                keys: keys(&hook.secrets, variables)?,
                allowed: Allowed { http: hook.allow_http, link_local: hook.allow_link_local },
            }))),
        }
    }

    /// Whereto, as the state may know it: who reads the state learns no URL.
    pub(super) fn fingerprint(&self) -> String {
        let text = match self {
            Self::Files(folder) => folder.display().to_string(),
            Self::Webhook(target) => format!("{}{}", target.url, target.url.path),
        };
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        hash.as_ref()[..16].iter().map(|b| format!("{b:02x}")).collect()
    }
}

fn url(hook: &Webhook, variables: &Variables) -> Result<WebhookUrl, SinkError> {
    match &hook.url {
        WebhookAddress::Written(url) => Ok(url.clone()),
        WebhookAddress::Env(Secret { variable }) => {
            let text = variables(variable).ok_or_else(|| SinkError::NotSet(variable.clone()))?;
            text.trim().parse().map_err(|source| SinkError::NoUrl { variable: variable.clone(), source })
        }
    }
}

fn keys(secrets: &[Secret], variables: &Variables) -> Result<Vec<Key>, SinkError> {
    let key = |secret: &Secret| {
        let variable = &secret.variable;
        let text = variables(variable).ok_or_else(|| SinkError::NotSet(variable.clone()))?;
        Key::read(&text).ok_or_else(|| SinkError::NoSecret(variable.clone()))
    };
    secrets.iter().map(key).collect()
}
