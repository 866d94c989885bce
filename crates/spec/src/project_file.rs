//! `alluvium.yaml`: the project's name, places, limits and environments.

use crate::{
    codes,
    dataset::{self, EffortDraft},
    definition::Limits,
    diagnostic::{Sink, quoted},
    load::Environment,
    nearest,
    paths::{Fence, PathMistake},
    sinks::{self, Sinks},
    source_file::{Place, SourceFile, Spanned},
    yaml::{self, Fields, Node, Reader},
};
use alluvium_model::{ByteSize, InvalidLakeUrl, LakeUrl, PostgresUrl, Span, StatePlace};
use std::{
    io,
    path::{Path, PathBuf},
};

pub(crate) const PROJECT_FILE: &str = "alluvium.yaml";
const DEFAULT_STATE: &str = ".alluvium/{env}.db";
/// Where copies of the files of a lake in an object store are, by the lake's URL.
pub(crate) const COPIES: &str = ".alluvium/copies";
const DEFAULT_LIMITS: Limits = Limits {
    memory: ByteSize::mib(1_024),
    record: ByteSize::mib(16),
    step_input: ByteSize::mib(512),
    cache: ByteSize::mib(10_240),
    lease: Span::from_secs(60),
};
/// A lease is renewed three times in its length, and the machine may be busy meanwhile.
const SHORTEST_LEASE: Span = Span::from_secs(2);

pub(crate) struct ProjectFile {
    pub(crate) name: String,
    /// `<lake>/<environment>`, or the folder of its copies.
    pub(crate) lake: PathBuf,
    /// `<lake>/<environment>` of a lake in an object store.
    pub(crate) remote: Option<LakeUrl>,
    pub(crate) state: StatePlace,
    pub(crate) limits: Limits,
    pub(crate) defaults: EffortDraft,
    pub(crate) sinks: Sinks,
    /// Names of sinks, for what ends as a whole.
    pub(crate) publish: Vec<String>,
    /// Names of sinks, for alerts.
    pub(crate) alerts: Vec<String>,
    pub(crate) fence: Fence,
}

/// What one environment sets for itself.
#[derive(Default)]
struct Places {
    lake: Option<Spanned<String>>,
    state: Option<Spanned<String>>,
}

impl ProjectFile {
    /// In place of one that cannot be read, so that the other files can be checked: no places, default limits.
    pub(crate) fn unusable(root: &Path) -> Self {
        Self {
            name: String::new(),
            lake: PathBuf::new(),
            remote: None,
            state: StatePlace::File(PathBuf::new()),
            limits: DEFAULT_LIMITS,
            defaults: EffortDraft::default(),
            sinks: Sinks::none(),
            publish: Vec::new(),
            alerts: Vec::new(),
            fence: Fence::new(root),
        }
    }
}

/// The project's folder, canonical; a folder that is not there or holds no project is reported.
pub(crate) fn folder(asked: &Path, sink: &mut Sink) -> Option<PathBuf> {
    let mut refuse = |path: &Path, message: String, help: String| {
        sink.report(codes::UNREADABLE, &SourceFile::new(path, ""), Place::WHOLE, message, help);
        None
    };
    let shown = |path: &Path| quoted(&path.display().to_string());
    let check = "check the path; a project is a folder with an alluvium.yaml, and `alluvium init` makes one".to_owned();
    let root = match asked.canonicalize() {
        Ok(root) => root,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return refuse(asked, format!("there is no folder {}", shown(asked)), check);
        }
        Err(e) => return refuse(asked, format!("the folder {} cannot be read: {e}", shown(asked)), check),
    };
    if !root.is_dir() {
        return refuse(asked, format!("{} is a file, and a project is a folder", shown(asked)), check);
    }
    // What else can be wrong with it is said when it is read.
    if !matches!(root.join(PROJECT_FILE).try_exists(), Ok(false)) {
        return Some(root);
    }
    let above = root.ancestors().skip(1).find(|a| a.join(PROJECT_FILE).is_file());
    let help = above.map_or(check, |a| format!("did you mean the project above it, {}?", shown(a)));
    let place = asked.strip_prefix(".").unwrap_or(asked).join(PROJECT_FILE);
    refuse(&place, format!("the folder {} is no project: it has no alluvium.yaml", shown(&root)), help)
}

/// `None` if the file cannot be read or is no mapping; smaller mistakes are reported and defaults used.
pub(crate) fn read(root: &Path, environment: &Environment, sink: &mut Sink) -> Option<ProjectFile> {
    let file = SourceFile::read(root, Path::new(PROJECT_FILE), sink)?;
    let node = yaml::parse(&file.text, &file, sink)?;
    let mut r = Reader::new(&file, sink);
    let mut f = r.fields(&node, "a mapping that starts with `name: …`")?;
    let mut fence = Fence::new(root);
    let name = f.require("name", &mut r).and_then(|n| r.name(n));
    if let Some(d) = f.take("description") {
        r.text(d);
    }
    let mut top = Places::default();
    top.read(&mut f, &mut r);
    let limits = f.take("limits").map_or(DEFAULT_LIMITS, |n| limits(n, &mut r));
    if let Some(n) = f.take("allow_paths") {
        allow_paths(n, &mut fence, &mut r);
    }
    let sinks = f.take("sinks").map_or_else(Sinks::none, |n| sinks::read(n, &fence, &mut r));
    let publish = dataset::read_publish(&mut f, &mut r);
    let alerts = dataset::read_sinks("alerts", &mut f, &mut r);
    for name in publish.iter().chain(&alerts) {
        sinks.check(name, r.file, r.sink);
    }
    let own = environments(&mut f, environment, &mut r);
    let defaults = f.take("defaults").map_or_else(EffortDraft::default, |n| dataset::read_defaults(n, &mut r));
    f.not_yet(&["budgets", "policies", "secrets", "concurrency"], &mut r);
    f.finish_with(&mut r, |key| {
        matches!(key, "retry" | "timeout" | "budget").then(|| format!("write it as `defaults: {{ {key}: … }}`"))
    });
    let (lake, remote) = lake(root, environment, own.lake, top.lake, &fence, &mut r);
    let state = state(environment, own.state, top.state, &fence, &mut r);
    Some(ProjectFile {
        name: name.map_or_else(String::new, |n| n.value),
        lake,
        remote,
        state,
        limits,
        defaults,
        sinks,
        publish: publish.into_iter().map(|name| name.value).collect(),
        alerts: alerts.into_iter().map(|name| name.value).collect(),
        fence,
    })
}

impl Places {
    fn read(&mut self, f: &mut Fields<'_>, r: &mut Reader<'_>) {
        self.lake = f.take("lake").and_then(|n| r.text(n));
        self.state = f.take("state").and_then(|n| r.text(n));
    }
}

fn limits(node: &Node, r: &mut Reader<'_>) -> Limits {
    let mut limits = DEFAULT_LIMITS;
    let Some(mut f) = r.fields(node, "a mapping of limits") else { return limits };
    for (key, limit) in [
        ("memory", &mut limits.memory),
        ("record", &mut limits.record),
        ("step_input", &mut limits.step_input),
        ("cache", &mut limits.cache),
    ] {
        let Some(n) = f.take(key) else { continue };
        let Some(size) = r.parsed::<ByteSize>(n) else { continue };
        if size.value.0 == 0 {
            r.error(codes::INVALID_VALUE, size.place, "a limit of nothing lets nothing through", None);
        }
        *limit = size.value;
    }
    if let Some(lease) = f.take("lease").and_then(|n| r.parsed::<Span>(n)) {
        if lease.value < SHORTEST_LEASE {
            let help = Some("two seconds is the shortest; a process that is only slow would lose its steps".to_owned());
            r.error(codes::INVALID_VALUE, lease.place, "a lease is too short", help);
        }
        limits.lease = lease.value;
    }
    f.finish(r);
    if limits.record.0 > limits.memory.0 / 4 {
        let message = format!("one record of {} does not fit into {} of memory", limits.record, limits.memory);
        let help = "keep `record` at most a quarter of `memory`".to_owned();
        r.error(codes::CONTRADICTION, node.place, message, Some(help));
    }
    limits
}

fn allow_paths(node: &Node, fence: &mut Fence, r: &mut Reader<'_>) {
    for path in r.names(node).unwrap_or_default() {
        if Path::new(&path.value).is_absolute() && !path.value.contains('\0') {
            fence.allow(Path::new(&path.value));
        } else {
            r.error(codes::INVALID_VALUE, path.place, "an allowed path has to be absolute", None);
        }
    }
}

/// Checks every environment's entry and returns that of the one asked for.
fn environments(f: &mut Fields<'_>, asked: &Environment, r: &mut Reader<'_>) -> Places {
    let entries = f.take("environments").and_then(|n| r.entries(n)).unwrap_or_default();
    let mut chosen = None;
    for e in entries {
        let mut places = Places::default();
        if !e.value.is_null() {
            let Some(mut f) = r.fields(&e.value, "a mapping with `lake` and `state`") else { continue };
            places.read(&mut f, r);
            f.not_yet(&["budgets", "secrets", "policies", "limits"], r);
            f.finish(r);
        }
        if !is_environment_name(&e.key.value) {
            let help = "write lower case letters, digits, `_` and `-`, starting with a letter".to_owned();
            r.error(
                codes::INVALID_VALUE,
                e.key.place,
                format!("{} is no environment's name", quoted(&e.key.value)),
                Some(help),
            );
        }
        if e.key.value == asked.name {
            chosen = Some(places);
        }
    }
    let unknown = chosen.is_none() && asked.name != Environment::DEFAULT;
    if unknown || !is_environment_name(&asked.name) {
        let known = entries.iter().map(|e| e.key.value.as_str()).chain([Environment::DEFAULT]);
        let help = nearest::help(&asked.name, known);
        r.error(
            codes::UNKNOWN_ENVIRONMENT,
            Place::WHOLE,
            format!("there is no environment {}", quoted(&asked.name)),
            help,
        );
    }
    chosen.unwrap_or_default()
}

/// It becomes a folder's name.
fn is_environment_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// A folder, or the folder of the copies and the object store.
fn lake(
    root: &Path,
    environment: &Environment,
    own: Option<Spanned<String>>,
    top: Option<Spanned<String>>,
    fence: &Fence,
    r: &mut Reader<'_>,
) -> (PathBuf, Option<LakeUrl>) {
    let asked = environment.lake.clone().map(|l| Spanned::new(l, Place::WHOLE));
    let written = asked.as_ref().or(own.as_ref()).or(top.as_ref());
    match written.filter(|w| LakeUrl::is_meant(&w.value)) {
        Some(url) => match object_store(url, "lake", r) {
            Some(url) => {
                let url = url.join(&environment.name);
                (root.join(COPIES).join(url.folder()), Some(url))
            }
            None => (PathBuf::new(), None),
        },
        None => {
            let folder = place(environment.lake.as_deref(), own, top, "lake", fence, r);
            (folder.join(&environment.name), None)
        }
    }
}

/// Which bucket may be reached is for the credentials to say, and these come from the environment.
pub(crate) fn object_store(written: &Spanned<String>, key: &str, r: &mut Reader<'_>) -> Option<LakeUrl> {
    match written.value.parse::<LakeUrl>() {
        Ok(url) => Some(url),
        Err(e) => {
            let help = match &e {
                InvalidLakeUrl::Scheme(scheme) => nearest::help(scheme, LakeUrl::SCHEMES),
                InvalidLakeUrl::Login => Some("set AWS_ACCESS_KEY_ID and the like where alluvium runs".to_owned()),
                InvalidLakeUrl::Bucket(_) | InvalidLakeUrl::Account | InvalidLakeUrl::Prefix => Some(
                    "write it as `s3://bucket/prefix`; an endpoint is read from AWS_ENDPOINT_URL and the like"
                        .to_owned(),
                ),
            };
            // A line with what may be a secret is not shown.
            let at = if e == InvalidLakeUrl::Login { Place::WHOLE } else { written.place };
            r.error(codes::INVALID_VALUE, at, format!("`{key}`: {e}"), help);
            None
        }
    }
}

/// A file, or a schema of a database.
fn state(
    environment: &Environment,
    own: Option<Spanned<String>>,
    top: Option<Spanned<String>>,
    fence: &Fence,
    r: &mut Reader<'_>,
) -> StatePlace {
    if let (None, Some(t)) = (&own, &top)
        && !t.value.contains("{env}")
    {
        let (what, form) = match PostgresUrl::is_meant(&t.value) {
            true => ("schema", "postgres://…/database?schema={env}"),
            false => ("state file", DEFAULT_STATE),
        };
        let help = format!("write it as `{form}`, or under `environments`");
        r.error(codes::CONTRADICTION, discreet(t), format!("every environment would use this one {what}"), Some(help));
    }
    let fill = |s: Spanned<String>| s.map(|s| s.replace("{env}", &environment.name));
    let (own, top) = (own.map(fill), top.map(fill));
    let asked = environment.state.clone().map(|s| Spanned::new(s, Place::WHOLE));
    let written = asked.as_ref().or(own.as_ref()).or(top.as_ref());
    if let Some(url) = written.filter(|w| PostgresUrl::is_meant(&w.value)) {
        return database(url, r).unwrap_or_else(|| StatePlace::File(PathBuf::new()));
    }
    let default = DEFAULT_STATE.replace("{env}", &environment.name);
    StatePlace::File(place(environment.state.as_deref(), own, top, &default, fence, r))
}

/// A line with what may be a password is not shown.
fn discreet(written: &Spanned<String>) -> Place {
    let login = written.value.rsplit_once('@').map_or("", |(login, _)| login);
    let password = login.split_once("://").and_then(|(_, login)| login.split_once(':')).map(|(_, password)| password);
    match password {
        Some(p) if !p.starts_with("${") => Place::WHOLE,
        Some(_) | None => written.place,
    }
}

fn database(written: &Spanned<String>, r: &mut Reader<'_>) -> Option<StatePlace> {
    match written.value.parse::<PostgresUrl>() {
        Ok(url) => Some(StatePlace::Postgres(url)),
        Err(e) => {
            let help = "write it as `postgres://user:${ALLUVIUM_STATE_PASSWORD}@host:5432/database?schema=alluvium`";
            r.error(codes::INVALID_VALUE, discreet(written), format!("`state`: {e}"), Some(help.to_owned()));
            None
        }
    }
}

/// The command line decides over the environment, that over the project's top level. Only what the file says is
/// fenced: the command line is the person's own word, relative to where they are.
fn place(
    asked: Option<&str>,
    own: Option<Spanned<String>>,
    top: Option<Spanned<String>>,
    default: &str,
    fence: &Fence,
    r: &mut Reader<'_>,
) -> PathBuf {
    if let Some(path) = asked {
        if path.contains("://") {
            remote(Place::WHOLE, r);
        }
        return std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    }
    let written = own.or(top).unwrap_or_else(|| Spanned::new(default.to_owned(), Place::WHOLE));
    inside(&written, fence, r).unwrap_or_default()
}

/// The absolute path that `written` names, if it may be used.
pub(crate) fn inside(written: &Spanned<String>, fence: &Fence, r: &mut Reader<'_>) -> Option<PathBuf> {
    match fence.resolve(&written.value) {
        Ok(path) => return Some(path),
        Err(PathMistake::Remote) => remote(written.place, r),
        Err(PathMistake::Unusable) => {
            r.error(codes::INVALID_VALUE, written.place, format!("{} is no path", quoted(&written.value)), None);
        }
        Err(PathMistake::Outside) => {
            let help = "use a folder inside the project, or list it under `allow_paths` in alluvium.yaml".to_owned();
            r.error(
                codes::PATH_OUTSIDE,
                written.place,
                format!("{} is outside the project", quoted(&written.value)),
                Some(help),
            );
        }
    }
    None
}

fn remote(place: Place, r: &mut Reader<'_>) {
    let help = Some("use a folder; only `lake` and the `files` of a dataset may be in an object store".to_owned());
    r.error(codes::NOT_AVAILABLE, place, "remote places are not available here in this version", help);
}
