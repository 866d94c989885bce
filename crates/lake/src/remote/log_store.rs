//! Tells Delta that tables may have the URLs of object stores: their logs are written by putting what must not be there.

use deltalake::{
    DeltaResult,
    logstore::{LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories},
};
use std::sync::Arc;
use url::Url;

/// A commit is one put of the next version's object, on the condition that there is none. All stores that we open can
/// do that: no lock table is needed.
struct Conditional;

impl LogStoreFactory for Conditional {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

/// For the scheme of this URL; again and again does no harm.
pub(crate) fn register(url: &Url) {
    if let Ok(scheme) = Url::parse(&format!("{}://", url.scheme())) {
        logstore_factories().entry(scheme).or_insert_with(|| Arc::new(Conditional));
    }
}
