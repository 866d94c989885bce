//! A real PostgreSQL for tests: on loopback, on a port of its own, in a temporary folder, gone with the test's process.
//!
//! Included by the test binaries of `store` and `cli`. A shell stands between: it ends the server and removes the folder
//! when its input ends, however the test's process went.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

/// Of the role `alluvium`, which database `locked` asks for; database `postgres` asks for none.
pub const PASSWORD: &str = "p\u{e4}ss 'word' %40";

/// For tests that do not disturb it.
pub static SHARED: LazyLock<Server> = LazyLock::new(Server::start);

const SCRIPT: &str = r#"
set -u
cd "$1"; bin="$2"; port="$3"
up() { "$bin/pg_ctl" -D data -l log -w -t 300 -o "-p $port" start >>ctl 2>&1 && echo up || echo failed; }
export LC_ALL=C
{ "$bin/initdb" -D data -U alluvium --pwfile=password --auth=scram-sha-256 -E UTF8 --locale=C --no-sync &&
  openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=authority -keyout ca.key -out ca.pem &&
  openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr &&
  printf 'subjectAltName=DNS:localhost\n' >names &&
  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile names -out server.crt &&
  chmod 600 server.key; } >setup 2>&1 || { echo failed; exit 1; }
cat >>data/postgresql.conf <<END
listen_addresses = 'localhost'
unix_socket_directories = ''
ssl = on
ssl_cert_file = '$1/server.crt'
ssl_key_file = '$1/server.key'
max_connections = 60
shared_buffers = 32MB
END
cat >data/pg_hba.conf <<END
host postgres all localhost trust
host all all localhost scram-sha-256
END
up
while read -r word; do
  case "$word" in
    crash) "$bin/pg_ctl" -D data -w -m immediate stop >>ctl 2>&1; echo down ;;
    start) up ;;
  esac
done
"$bin/pg_ctl" -D data -w -m immediate stop >>ctl 2>&1
cd /; rm -rf "$1"
"#;

pub struct Server {
    folder: PathBuf,
    port: u16,
    shell: Mutex<Shell>,
    schemas: AtomicU32,
}

struct Shell {
    _child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    pub fn start() -> Self {
        let bin = programs();
        let folder = tempfile::Builder::new().prefix("alluvium-postgres-").tempdir().expect("a folder").keep();
        fs::write(folder.join("password"), PASSWORD).expect("a file");
        let port = port();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&folder).arg(bin).arg(port.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // The server does not run as root.
        if let (0, Some((user, group))) = (owner(&folder), unprivileged()) {
            for path in [folder.clone(), folder.join("password")] {
                chown(path, Some(user), Some(group)).expect("the folder is given away");
            }
            command.uid(user).gid(group);
        }
        // Signals that stop the tests are the shell's only through the end of its input.
        let mut child = command.process_group(0).spawn().expect("a shell");
        let words = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut shell = Shell { _child: child, words, answers };
        let answer = shell.answer();
        assert_eq!(answer, "up", "{}", said(&folder));
        let server = Self { folder, port, shell: Mutex::new(shell), schemas: AtomicU32::new(0) };
        server.sql("CREATE DATABASE locked");
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of the authority that signed the server's certificate, which is for `localhost`.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub fn schema(&self) -> String {
        format!("s{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }

    /// A place for a fresh state.
    pub fn url(&self) -> String {
        format!("postgres://alluvium@localhost:{}/postgres?sslmode=disable&schema={}", self.port, self.schema())
    }

    /// As a machine that loses its power, but for what the disk was told to keep.
    pub fn crash(&self) {
        assert_eq!(self.ask("crash"), "down", "{}", said(&self.folder));
    }

    pub fn start_again(&self) {
        assert_eq!(self.ask("start"), "up", "{}", said(&self.folder));
    }

    fn ask(&self, word: &str) -> String {
        let mut shell = self.shell.lock().expect("no holder panics");
        writeln!(shell.words, "{word}").expect("the shell lives");
        shell.answer()
    }

    /// What the database's own client answers.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(programs().join("psql"));
        let port = self.port.to_string();
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "localhost", "-p", &port, "-U", "alluvium"]);
        let ran = psql.args(["-d", "postgres", "-c", sql]).output().expect("psql runs");
        assert!(ran.status.success(), "{sql}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text").trim().to_owned()
    }
}

/// None that the system gives to whoever asks for any, so that nobody takes it before the server does, or while it is down. Other
/// processes of tests begin elsewhere.
fn port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(64);
    let mut all = (0..COUNT).map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let free = all.find_map(|n| u16::try_from(n).ok().filter(|p| TcpListener::bind(("127.0.0.1", *p)).is_ok()));
    free.expect("a free port")
}

impl Shell {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the shell answers");
        line.trim().to_owned()
    }
}

fn said(folder: &Path) -> String {
    ["setup", "ctl", "log"].map(|f| fs::read_to_string(folder.join(f)).unwrap_or_default()).join("\n")
}

fn owner(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).expect("it is there").uid()
}

/// The newest that is installed, where Debian puts them or where `pg_config` says.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|n| n.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|v| v.path()).filter(|v| number(v) >= Some(15)).max_by_key(|v| number(v));
    let asked = || {
        let said = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(said.stdout).ok()?.trim()))
    };
    let bin = newest.map(|v| v.join("bin")).or_else(asked).filter(|b| b.join("initdb").exists());
    bin.expect("PostgreSQL 15 or later is installed; `.ci/run` installs it")
}

/// User and group of `postgres`, or of `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let fields: Vec<&str> = users.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == *name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}
