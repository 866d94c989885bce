//! Servers of the object stores' protocols for tests: of S3 (moto), of Google's XML API (`tests/gcs.py`) and of Azure
//! (Azurite). Each is a process of its own on loopback that ends with the test's process.

use crate::{
    harness::{Project, repository, test_python},
    market::copied,
};
use futures::StreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path::Path as Key,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Never seen in anything that a command says. The server of S3's protocol takes any.
pub const SECRET: &str = "the-secret-key-of-the-tests";
/// The same in Base64, as Azure's keys are, and another one.
const AZURE_KEY: &str = "dGhlLXNlY3JldC1rZXktb2YtdGhlLXRlc3Rz";
const WRONG_AZURE_KEY: &str = "YW5vdGhlci1rZXktb2YtdGhlLXRlc3Rz";

static S3: LazyLock<Server> = LazyLock::new(|| {
    let mut python = Command::new(test_python());
    python.arg(repository().join("tests/s3.py"));
    Server::start(python)
});
static GOOGLE: LazyLock<Server> = LazyLock::new(|| {
    let mut python = Command::new(test_python());
    python.arg(repository().join("tests/gcs.py"));
    Server::start(python)
});
static AZURE: LazyLock<Server> = LazyLock::new(|| {
    let mut node = Command::new("node");
    node.arg(repository().join("tests/azurite/serve.js")).arg(azurite()).args(["tester", AZURE_KEY]);
    Server::start(node)
});

/// Whose protocol a server speaks. Its bucket or container is `lake`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    S3,
    Google,
    Azure,
}

struct Server {
    /// The line in which it tells its port, and what else has to be known.
    said: Value,
    places: AtomicUsize,
    _process: Child,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut said = String::new();
        BufReader::new(process.stdout.as_mut().expect("its output")).read_line(&mut said).expect("its port");
        let said = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{command:?} said `{said}`: {e}"));
        Self { said, places: AtomicUsize::new(0), _process: process }
    }

    fn text(&self, name: &str) -> &str {
        self.said[name].as_str().expect("a text")
    }
}

/// The folder where the pinned Azurite is installed.
fn azurite() -> PathBuf {
    let Some(folder) = std::env::var_os("ALLUVIUM_TEST_AZURITE") else {
        panic!("ALLUVIUM_TEST_AZURITE is not set: run the tests with `cargo xtask test`, which installs Azurite");
    };
    folder.into()
}

impl Cloud {
    fn server(self) -> &'static Server {
        match self {
            Self::S3 => &S3,
            Self::Google => &GOOGLE,
            Self::Azure => &AZURE,
        }
    }

    pub fn port(self) -> u16 {
        let said = &self.server().said;
        said.get("port").unwrap_or(said).as_u64().and_then(|p| p.try_into().ok()).expect("a port")
    }

    pub fn endpoint(self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// A lake of its own in the shared server.
    pub fn lake(self) -> String {
        let scheme = match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        };
        format!("{scheme}://lake/p{}", self.server().places.fetch_add(1, Ordering::Relaxed))
    }

    /// What is set where a project runs that reaches the store at this address.
    pub fn variables(self, endpoint: &str) -> Vec<(&'static str, String)> {
        let set = |all: &[(&'static str, &str)]| all.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        match self {
            Self::S3 => set(&[
                ("AWS_ENDPOINT_URL", endpoint),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "tester"),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
            ]),
            Self::Google => {
                set(&[("GOOGLE_BASE_URL", endpoint), ("GOOGLE_SERVICE_ACCOUNT_KEY", self.server().text("known"))])
            }
            Self::Azure => set(&[
                ("AZURE_STORAGE_USE_EMULATOR", "true"),
                ("AZURITE_BLOB_STORAGE_URL", endpoint),
                ("AZURE_STORAGE_ACCOUNT_NAME", "tester"),
                ("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY),
            ]),
        }
    }

    /// A key that the server does not know, in its variable, and what of it must not be seen. The server of S3's protocol
    /// knows every key.
    pub fn wrong_key(self) -> (&'static str, String, Vec<String>) {
        match self {
            Self::S3 => panic!("there is none"),
            Self::Google => {
                let key = self.server().text("unknown").to_owned();
                let pem: Value = serde_json::from_str(&key).expect("a key");
                let lines = pem["private_key"].as_str().expect("a key").lines().filter(|l| l.len() > 40);
                let lines = lines.map(str::to_owned).collect();
                ("GOOGLE_SERVICE_ACCOUNT_KEY", key, lines)
            }
            Self::Azure => {
                let key = WRONG_AZURE_KEY.to_owned();
                ("AZURE_STORAGE_ACCOUNT_KEY", key.clone(), vec![key])
            }
        }
    }

    /// A client of its bucket for the tests themselves.
    fn bucket(self) -> Arc<dyn ObjectStore> {
        let variables = self.variables(&self.endpoint());
        // The builders have no trait in common, and read the environment of this process by themselves alone.
        macro_rules! built {
            ($builder:ty, $url:expr) => {{
                let named =
                    variables.iter().filter_map(|(n, v)| Some((n.to_ascii_lowercase().parse().ok()?, v.clone())));
                let builder = named.fold(<$builder>::new().with_url($url), |b, (key, value)| b.with_config(key, value));
                Arc::new(builder.build().expect("a client"))
            }};
        }
        match self {
            Self::S3 => built!(AmazonS3Builder, "s3://lake"),
            Self::Google => built!(GoogleCloudStorageBuilder, "gs://lake"),
            // The emulator's address is read from the environment alone.
            Self::Azure => {
                let builder = MicrosoftAzureBuilder::new().with_url("az://lake").with_account("tester");
                let builder = builder.with_access_key(AZURE_KEY).with_allow_http(true);
                let builder = builder.with_endpoint(format!("{}/tester", self.endpoint()));
                Arc::new(builder.build().expect("a client"))
            }
        }
    }

    /// Puts objects below a place in the shared server, several at once.
    pub fn put(self, place: &str, objects: &[(&str, &[u8])]) {
        let (_, prefix) = place.split_once("://lake/").expect("a place in `lake`");
        let bucket = self.bucket();
        let puts = objects.iter().map(|(name, bytes)| {
            let (bucket, key) = (bucket.clone(), Key::parse(format!("{prefix}/{name}")).expect("a key"));
            async move { bucket.put(&key, PutPayload::from(bytes.to_vec())).await.expect("put") }
        });
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(futures::stream::iter(puts).buffer_unordered(8).collect::<Vec<_>>());
    }

    /// The same files over a lake in the object store: one line differs.
    pub fn over(self, from: &Project, lake: &str) -> Project {
        let to = copied(from);
        to.edit("alluvium.yaml", "name: ", &format!("lake: {lake}\nname: "));
        self.through(to, &self.endpoint())
    }

    /// The project's commands reach the object store at this address.
    pub fn through(self, mut p: Project, endpoint: &str) -> Project {
        for (name, value) in self.variables(endpoint) {
            p.set(name, &value);
        }
        p
    }
}

/// Names of the objects of a lake in S3, below its prefix, as the server lists them.
pub fn objects(lake: &str) -> BTreeSet<String> {
    let prefix = lake.strip_prefix("s3://lake/").expect("a lake of `lake`");
    let mut server = TcpStream::connect(("127.0.0.1", Cloud::S3.port())).expect("the server");
    let ask =
        format!("GET /lake?list-type=2&prefix={prefix}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    server.write_all(ask.as_bytes()).expect("asked");
    let mut answer = String::new();
    server.read_to_string(&mut answer).expect("answered");
    assert!(answer.contains("<IsTruncated>false"), "{answer}");
    let keys = answer.split("<Key>").skip(1).filter_map(|k| k.split("</Key>").next());
    keys.filter_map(|k| k.strip_prefix(prefix)?.strip_prefix('/')).map(str::to_owned).collect()
}
