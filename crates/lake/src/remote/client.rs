//! A client of the object store that a URL names.
//!
//! Credentials, region and endpoint are read from the environment as the `object_store` crate names them (`AWS_*`,
//! `GOOGLE_*`, `AZURE_*`), and from nowhere else. Connects to nothing until the first request.

use super::{counted::Counted, misset};
use crate::{error::LakeError, meter::Meter};
use alluvium_model::{Cloud, LakeUrl};
use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
};
use std::{sync::Arc, time::Duration};

/// How long one request is tried again by the client itself; after that the step's own retries decide.
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_RETRIES: usize = 8;
/// A request with its body; a part of a file takes this long on a line of 0.5 Mbit/s.
const REQUEST: &str = "120 seconds";

fn retry() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(5), base: 2.0 };
    RetryConfig { backoff, max_retries: MOST_RETRIES, retry_timeout: PATIENCE }
}

/// For the bucket or container of `url`. Every request is counted in `meter`.
pub(crate) fn connect(url: &LakeUrl, meter: &Arc<Meter>) -> Result<Arc<dyn ObjectStore>, LakeError> {
    let refused = |source| LakeError::StoreSettings { url: url.to_string(), source: Box::new(source) };
    if url.cloud == Cloud::Google {
        let misset = misset::check(|name| std::env::var(name).ok());
        misset.map_err(|e| refused(object_store::Error::Generic { store: "GCS", source: Box::new(e) }))?;
    }
    let counted = Counted::new(meter.clone());
    // The builders have no trait in common.
    macro_rules! built {
        ($builder:ty, $client:expr) => {{
            let mut builder = <$builder>::from_env().with_url(url.root());
            let timeout = $client(ClientConfigKey::Timeout);
            if builder.get_config_value(&timeout).is_none() {
                builder = builder.with_config(timeout, REQUEST);
            }
            builder.with_retry(retry()).with_http_connector(counted).build().map(|s| Arc::new(s) as _)
        }};
    }
    let made: object_store::Result<Arc<dyn ObjectStore>> = match url.cloud {
        Cloud::S3 => built!(AmazonS3Builder, AmazonS3ConfigKey::Client),
        Cloud::Google => built!(GoogleCloudStorageBuilder, GoogleConfigKey::Client),
        Cloud::Azure => built!(MicrosoftAzureBuilder, AzureConfigKey::Client),
    };
    made.map_err(refused)
}
