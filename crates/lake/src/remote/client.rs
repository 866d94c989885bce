//! A client of the object store that a URL names.
//!
//! Credentials, region and endpoint are read from the environment as the `object_store` crate names them (`AWS_*`,
//! `GOOGLE_*`, `AZURE_*`), and from nowhere else. Connects to nothing until the first request.

use super::counted::Counted;
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
    let counted = Counted::new(meter.clone());
    let timeout = ClientConfigKey::Timeout;
    let made: object_store::Result<Arc<dyn ObjectStore>> = match url.cloud {
        Cloud::S3 => {
            let mut builder = AmazonS3Builder::from_env().with_url(url.root());
            let key = AmazonS3ConfigKey::Client(timeout);
            if builder.get_config_value(&key).is_none() {
                builder = builder.with_config(key, REQUEST);
            }
            builder.with_retry(retry()).with_http_connector(counted).build().map(|s| Arc::new(s) as _)
        }
        Cloud::Google => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url.root());
            let key = GoogleConfigKey::Client(timeout);
            if builder.get_config_value(&key).is_none() {
                builder = builder.with_config(key, REQUEST);
            }
            builder.with_retry(retry()).with_http_connector(counted).build().map(|s| Arc::new(s) as _)
        }
        Cloud::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(url.root());
            let key = AzureConfigKey::Client(timeout);
            if builder.get_config_value(&key).is_none() {
                builder = builder.with_config(key, REQUEST);
            }
            builder.with_retry(retry()).with_http_connector(counted).build().map(|s| Arc::new(s) as _)
        }
    };
    made.map_err(|source| LakeError::StoreSettings { url: url.to_string(), source: Box::new(source) })
}
