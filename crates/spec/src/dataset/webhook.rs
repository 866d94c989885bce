//! `source.webhook` and `source.files.notified_by`: what comes to a bronze dataset over HTTP by signed requests and by notices.
//!
//! Called by `bronze.rs`.

use super::push::{self, Taken};
use crate::{
    codes,
    definition::{Notified, Rate, WebhookSource},
    diagnostic::quoted,
    paths::Fence,
    secret,
    yaml::{Node, Reader},
};
use alluvium_model::{ByteSize, Span};

/// Below it no other path of the service lies.
const PATHS: &str = "/hooks/";
const LONGEST_PATH: usize = 200;
const DEFAULT_TOLERANCE: Span = Span::from_secs(300);
const LONGEST_TOLERANCE: Span = Span::from_secs(86_400);
const DEFAULT_BYTES: ByteSize = ByteSize(256 << 10);
const MOST_BYTES: ByteSize = ByteSize::mib(1);
const DEFAULT_RATE: Rate = Rate { key: None, limit: 100, period: Span::from_secs(1), burst: 100 };

pub(super) fn read(node: &Node, fence: &Fence, r: &mut Reader<'_>) -> Option<(WebhookSource, Taken)> {
    let mut f =
        r.fields(node, "a mapping such as `{ path: /hooks/payments, secret: { env: ALLUVIUM_HOOK_SECRET } }`")?;
    let path = f.require("path", r).and_then(|n| path(n, r));
    let secrets = f.require("secret", r).and_then(|n| secret::read_all(n, r));
    let tolerance = f.take("tolerance").map_or(Some(DEFAULT_TOLERANCE), |n| tolerance(n, r));
    let max_bytes = f.take("max_bytes").map_or(Some(DEFAULT_BYTES), |n| max_bytes(n, r));
    let types = f.take("types").map_or(Some(None), |n| push::types(n, fence, r).map(Some));
    let taken = push::taken(&mut f, r);
    f.finish(r);
    let source = WebhookSource {
        path: path?,
        types: types?,
        secrets: secrets?,
        tolerance: tolerance?,
        max_bytes: max_bytes?,
        rate: taken.rate.as_ref().map_or(DEFAULT_RATE, |rate| rate.value.clone()),
    };
    Some((source, taken))
}

fn path(node: &Node, r: &mut Reader<'_>) -> Option<String> {
    let path = r.name(node)?;
    let rest = path.value.strip_prefix(PATHS).unwrap_or_default();
    let plain = |p: &str| {
        !p.is_empty()
            && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && p.bytes().any(|b| b != b'.')
    };
    if rest.is_empty() || path.value.len() > LONGEST_PATH || !rest.split('/').all(plain) {
        let help = format!("it starts with `{PATHS}`, as in `{PATHS}payments`; letters, digits, `-`, `_` and `.`");
        r.error(
            codes::INVALID_VALUE,
            path.place,
            format!("{} is no path of a webhook", quoted(&path.value)),
            Some(help),
        );
        return None;
    }
    Some(path.value)
}

fn tolerance(node: &Node, r: &mut Reader<'_>) -> Option<Span> {
    let span = r.parsed::<Span>(node)?;
    if span.value == Span::ZERO || span.value > LONGEST_TOLERANCE {
        let help = Some("the usual is `5m`".to_owned());
        r.error(codes::INVALID_VALUE, span.place, "a tolerance is more than nothing and at most a day", help);
        return None;
    }
    Some(span.value)
}

fn max_bytes(node: &Node, r: &mut Reader<'_>) -> Option<ByteSize> {
    let size = r.parsed::<ByteSize>(node)?;
    if size.value.0 == 0 || size.value > MOST_BYTES {
        let help = Some("send large data as a file".to_owned());
        r.error(codes::INVALID_VALUE, size.place, "a call has at least one byte and at most 1 MiB", help);
        return None;
    }
    Some(size.value)
}

/// Of a bucket or container that is mounted as the landing folder.
pub(super) fn notified(node: &Node, r: &mut Reader<'_>) -> Option<Notified> {
    let mut f = r.fields(node, "a mapping such as `{ bucket: my-bucket, prefix: flights/ }`")?;
    let bucket = f.require("bucket", r).and_then(|n| r.name(n));
    let account = f.take("account").map_or(Some(None), |n| r.name(n).map(Some));
    let prefix = f.take("prefix").map_or(Some(String::new()), |n| r.text(n).map(|t| t.value));
    f.finish(r);
    let bucket = bucket?;
    if bucket.value.contains(['/', ':']) {
        let help = Some("write its name alone, as in `my-bucket`; what lies in it is the `prefix`".to_owned());
        r.error(codes::INVALID_VALUE, bucket.place, format!("{} is no bucket's name", quoted(&bucket.value)), help);
        return None;
    }
    Some(Notified { bucket: bucket.value, account: account?.map(|a| a.value), prefix: prefix? })
}
