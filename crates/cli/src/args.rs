//! The command line.

use crate::error::CliError;
use alluvium_model::{DatasetName, Span, Stride};
use alluvium_spec::{Environment, Mode};
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

const ENDS: &str =
    "Exit codes: 0 done, 1 work failed, 2 wrong input. Data goes to standard output, all else to standard error.";

/// Turns a folder of definitions and files that arrive into checked tables, exactly once.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, after_help = ENDS)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Environment of the project
    #[arg(long, global = true, value_name = "NAME", env = "ALLUVIUM_ENV", default_value = "dev")]
    pub env: String,
    /// The project's folder, in place of the DIR argument
    #[arg(long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Root of the lake, over what the project says
    #[arg(long, global = true, value_name = "PATH", env = "ALLUVIUM_LAKE")]
    pub lake: Option<String>,
    /// The state, a file or the URL of a PostgreSQL database, over what the project says
    #[arg(long, global = true, value_name = "PLACE", env = "ALLUVIUM_STATE")]
    pub state: Option<String>,
    /// How results and errors are written
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Log what happens to standard error; twice for more. ALLUVIUM_LOG sets a filter, as in `alluvium_flow=debug`
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// How log lines are written
    #[arg(long, global = true, value_enum, env = "ALLUVIUM_LOG_FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new project from a template: flights, orders or empty
    Init {
        template: String,
        /// A new or empty folder [default: the template's name]
        dir: Option<PathBuf>,
    },
    /// Read the whole project and show every mistake
    Check {
        dir: Option<PathBuf>,
        /// Take a new version of this contract although it breaks the compatibility mode that it declares
        #[arg(long, value_name = "CONTRACT")]
        accept: Vec<String>,
    },
    /// Process what is new until nothing is pending
    Run {
        dir: Option<PathBuf>,
        /// Apply this silver dataset's changed definition to new rows only
        #[arg(long, value_name = "DATASET")]
        adopt: Vec<DatasetName>,
        /// Make this silver dataset anew from all of its input
        #[arg(long, value_name = "DATASET")]
        rebuild: Vec<DatasetName>,
        /// Take a new version of this contract although it breaks the compatibility mode that it declares
        #[arg(long, value_name = "CONTRACT")]
        accept: Vec<String>,
    },
    /// Process what arrives, when it arrives, until stopped
    Serve {
        dir: Option<PathBuf>,
        /// Take a new version of this contract although it breaks the compatibility mode that it declares
        #[arg(long, value_name = "CONTRACT")]
        accept: Vec<String>,
        /// Look into every landing folder so often, for files of which no notice came
        #[arg(long, value_name = "SPAN", default_value = "5m")]
        scan_every: Span,
        /// End when nothing was left to do for so long
        #[arg(long, value_name = "SPAN")]
        exit_when_idle: Option<Span>,
        /// Address for HTTP; others than of this machine need a token in ALLUVIUM_TOKEN
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
        listen: SocketAddr,
        /// PEM file of the certificate and its chain, for HTTPS
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// PEM file of its key
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<PathBuf>,
    },
    /// Execute steps that `serve` or `run` planned elsewhere, over the same state and lake, until stopped
    Worker {
        dir: Option<PathBuf>,
        /// When it is stopped, a step that is being executed may take so long to commit; then it is handed back
        #[arg(long, value_name = "SPAN", default_value = "30s")]
        grace: Span,
    },
    /// Process again what waits
    Replay {
        #[command(subcommand)]
        what: Replay,
    },
    /// Publish what the gate of DATASET held back
    Release(Verdict),
    /// Never publish what the gate of a dataset held back; its input is counted as dropped
    Drop {
        #[command(subcommand)]
        what: Drop,
    },
    /// Never load rows that wait in the quarantine of DATASET, bronze or silver; they are counted as dropped
    Discard(Discard),
    /// Write down what is known of rows that wait in the quarantine of DATASET
    Annotate(Annotate),
    /// Make history of a gold dataset anew beside its table, compare, and swap it in or drop it
    Backfill(Backfill),
    /// Work with a contract
    Contract {
        #[command(subcommand)]
        what: OfContract,
    },
    /// Send again to SINK, also after its receiver said that it wants no more
    Resume { sink: String, dir: Option<PathBuf> },
    /// Say what an error code means, how to see it, what to do and how to prevent it
    Explain {
        /// As in L0001 [default: list all]
        code: Option<String>,
    },
    /// Answer a SQL query over bronze.*, silver.*, gold.*, quarantine.<layer>_<name>, held.<layer>_<name> and state.*
    Query(Query),
    /// Show what is there and what happened
    Show {
        #[command(subcommand)]
        what: Show,
    },
}

#[derive(Debug, Subcommand)]
pub enum Replay {
    /// Rows that wait in the quarantine of DATASET, bronze or silver, under the present definition
    Quarantine {
        dataset: DatasetName,
        dir: Option<PathBuf>,
        /// Apply the dataset's changed definition to these rows and to new ones
        #[arg(long)]
        adopt: bool,
    },
    /// Values that bronze put aside and the definition of DATASET names by now: its table is made anew from all of bronze
    Rescued {
        /// A silver dataset
        dataset: DatasetName,
        dir: Option<PathBuf>,
    },
    /// Steps and landing objects that were given up, after what was wrong is mended; each comes back once
    DeadLetters {
        dir: Option<PathBuf>,
        /// Only those of this dataset
        #[arg(long, value_name = "DATASET")]
        dataset: Option<DatasetName>,
        /// Only these, by the start of their ids as `show dead-letters` lists them
        #[arg(long, value_name = "ID")]
        id: Vec<String>,
        /// The definition that each was tried under, or the present one
        #[arg(long, value_enum, default_value_t = UnderVersion::Current)]
        version: UnderVersion,
    },
}

#[derive(Debug, Subcommand)]
pub enum Drop {
    /// All that `show held` lists of DATASET, which is bronze or silver
    Held(Verdict),
}

#[derive(Debug, Args)]
pub struct Verdict {
    pub dataset: DatasetName,
    pub dir: Option<PathBuf>,
    /// Kept with the verdict
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who says so [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Rows of a quarantine: those that all of it applies to.
#[derive(Debug, Args)]
pub struct Selected {
    /// Rows that broke this rule, as `show quarantine` names it
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Rows that broke a rule in this column; with --rule, that rule
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,
    /// Rows of this landing object
    #[arg(long, value_name = "PATH")]
    pub object: Option<String>,
}

#[derive(Debug, Args)]
pub struct Quarantine {
    pub dataset: Option<String>,
    pub dir: Option<PathBuf>,
    /// What the counts are by; hours and days (UTC) are those of arrival
    #[arg(long, value_enum, default_value_t = By::Rule)]
    pub by: By,
    #[command(flatten)]
    pub selected: Selected,
    /// So many rows are shown
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Write all of these rows to a file, as `query` does: .csv, .json, .ndjson or .parquet
    #[arg(long, value_name = "FILE", requires = "dataset")]
    pub to: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    Rule,
    Column,
    Reason,
    Object,
    Hour,
    Day,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").args(["rule", "column", "object", "all"]).required(true).multiple(true)))]
pub struct Discard {
    pub dataset: DatasetName,
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub selected: Selected,
    /// All rows that wait
    #[arg(long, conflicts_with_all = ["rule", "column", "object"])]
    pub all: bool,
    /// Why; kept for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who says so [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, Args)]
pub struct Annotate {
    pub dataset: DatasetName,
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub selected: Selected,
    /// What is known
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// Who says so [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// The definition under which a dead letter is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnderVersion {
    Original,
    Current,
}

/// With neither --swap nor --drop the table stays as it is, and what was made waits beside it.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["from", "resume", "swap", "drop"]).required(true).multiple(true)))]
pub struct Backfill {
    /// A gold dataset with a window
    pub dataset: DatasetName,
    pub dir: Option<PathBuf>,
    /// Begin a new one there: a day or a time, UTC
    #[arg(long, value_name = "TIME", requires_all = ["to", "window"], conflicts_with_all = ["resume", "drop"])]
    pub from: Option<Instant>,
    /// Up to there, exclusive
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<Instant>,
    /// Length of the windows that are made one by one, as in 1d or 1mo
    #[arg(long, value_name = "LENGTH", requires = "from")]
    pub window: Option<Stride>,
    /// Windows made at once [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64), conflicts_with = "drop")]
    pub max_active_runs: Option<u32>,
    /// Go on while no more of the windows fail [default: 0]
    #[arg(long, value_name = "P", conflicts_with = "drop")]
    pub tolerated_failure_percentage: Option<Percentage>,
    /// Show the windows and what they would read, and change nothing
    #[arg(long, requires = "from", conflicts_with = "swap")]
    pub dry_run: bool,
    /// Go on with the one that is under way; what failed is tried again
    #[arg(long, conflicts_with = "drop")]
    pub resume: bool,
    /// When it is built, put it in place of the table's windows
    #[arg(long, conflicts_with = "drop")]
    pub swap: bool,
    /// Throw away the one that is under way
    #[arg(long)]
    pub drop: bool,
}

/// A day or a time, as microseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub i64);

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no day and no time; write 2024-01-01 or 2024-01-01T06:00:00Z")]
pub struct InvalidInstant(String);

impl FromStr for Instant {
    type Err = InvalidInstant;

    fn from_str(text: &str) -> Result<Self, InvalidInstant> {
        let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp());
        // A day first: a time without a zone is neither.
        let is_day = text.len() == "2024-01-01".len();
        let found = if is_day { day() } else { text.parse::<Timestamp>().ok() };
        found.map(|t| Self(t.as_microsecond())).ok_or_else(|| InvalidInstant(text.to_owned()))
    }
}

/// In hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentage(pub u32);

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no percentage; write a number from 0 to 100")]
pub struct InvalidPercentage(String);

impl FromStr for Percentage {
    type Err = InvalidPercentage;

    fn from_str(text: &str) -> Result<Self, InvalidPercentage> {
        let number = text.trim_end_matches('%').parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p));
        number.map(|p| Self((p * 100.0).round() as u32)).ok_or_else(|| InvalidPercentage(text.to_owned()))
    }
}

#[derive(Debug, Subcommand)]
pub enum OfContract {
    /// Check files against CONTRACT, before anything is loaded: exit code 1 where a rule is broken
    Test {
        /// A contract of the project, by name or by its file
        contract: String,
        /// CSV, TSV, NDJSON or Parquet, plain, gzip or zstd
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Read them as this silver dataset does: with the form that its bronze dataset names, and with its steps up to `validate`
        #[arg(long = "as", value_name = "DATASET")]
        dataset: Option<DatasetName>,
        /// Write the invalid records with their reasons into this file, in the form of its ending or as NDJSON
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Propose a contract for files, with what speaks for it. It holds on every record that was looked at
    Infer {
        /// Files, folders, or patterns in quotes: CSV, TSV, NDJSON or Parquet, plain, gzip or zstd
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the contract is called [default: like the bronze dataset that reads the files, or like the only file, or like the folder]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Look at the first N records of each file only [default: at all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        sample: Option<u64>,
        /// Put it into contracts/
        #[arg(long)]
        write: bool,
        /// Even where that contract is there already
        #[arg(long, requires = "write")]
        force: bool,
    },
    /// Show a contract to people: fields, rules, agreements, who owns and who reads it
    Show {
        /// A contract of the project by name, or any by its file
        contract: PathBuf,
    },
    /// Tell what a contract says that has no effect here or is deprecated; it stays in the contract
    Lint {
        /// Contracts of the project by name, or any by their files [default: all of the project]
        contracts: Vec<PathBuf>,
    },
    /// Write CONTRACT in another language
    Export {
        /// A contract of the project by name, or any by its file
        contract: PathBuf,
        #[arg(long = "as", value_enum, value_name = "LANGUAGE")]
        language: ExportLanguage,
        /// Write into this file; it appears when it is complete
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Compare versions of a contract: exit code 1 where the new one breaks what MODE asks for
    Diff {
        /// The old versions, oldest first, then the new one: files, names of the project's contracts, or NAME@N for a version that
        /// is registered
        #[arg(required = true, num_args = 2.., value_names = ["OLD", "NEW"])]
        files: Vec<PathBuf>,
        /// NONE, BACKWARD, FORWARD, FULL, or one of these with _TRANSITIVE: against all old versions [default: what NEW
        /// says, else BACKWARD]
        #[arg(long, value_name = "MODE")]
        mode: Option<Mode>,
    },
}

/// What a contract is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportLanguage {
    /// JSON Schema 2020-12
    JsonSchema,
    Avro,
    /// CREATE TABLE for DuckDB and PostgreSQL
    Sql,
    Markdown,
    /// One page that loads nothing
    Html,
}

#[derive(Debug, Args)]
pub struct Query {
    /// One SELECT, or `-` to read it from standard input
    pub sql: String,
    pub dir: Option<PathBuf>,
    /// [default: by the ending of --to, else table, or json with --format json]
    #[arg(long, value_enum)]
    pub output: Option<Output>,
    /// Write into this file; it appears when it is complete
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// At most this many rows, 0 for all [default: 100 for a table, else all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Csv,
    Json,
    Ndjson,
    Parquet,
}

impl Output {
    /// By a file's ending.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "csv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "parquet" => Self::Parquet,
            _ => return None,
        })
    }
}

#[derive(Debug, Subcommand)]
pub enum Show {
    /// Every dataset with its rows, files and versions
    Datasets { dir: Option<PathBuf> },
    /// What data there is: descriptions, owners, service levels, columns, last commits and readers
    Catalog {
        /// Only datasets that all of these words are found in
        words: Vec<String>,
    },
    /// What ran, newest first
    Runs {
        dir: Option<PathBuf>,
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// The steps that a run planned, tried or finished, and broken rules
    Run {
        /// Its id, the start of its id, or `latest`
        id: String,
        dir: Option<PathBuf>,
    },
    /// The way of one landing object: its steps, what was made from it, its rows in quarantine
    Event {
        /// Its id, the start of its id, or its path in the landing folder
        id: String,
        dir: Option<PathBuf>,
    },
    /// What waits in quarantine, by rule; with DATASET also the first rows
    Quarantine(Quarantine),
    /// Landing objects and steps that were given up, and why
    DeadLetters { dir: Option<PathBuf> },
    /// What gates held back, and why; with DATASET also the first rows
    Held { dataset: Option<String>, dir: Option<PathBuf> },
    /// Steps that failed and are tried again, and the retries that each dataset has used today
    Retries { dir: Option<PathBuf> },
    /// Fields that came otherwise than the columns have them, and what was done about it
    Drift {
        /// Only of this dataset
        dataset: Option<String>,
        dir: Option<PathBuf>,
    },
    /// Windows without rows between the first and the newest, and up to where a watermark has closed them
    Gaps {
        /// Only of this dataset
        dataset: Option<String>,
        dir: Option<PathBuf>,
        /// How long a window is [default: as gold has it, or the frequency that the contract of silver agrees on]
        #[arg(long, value_name = "SIZE")]
        window: Option<Span>,
    },
    /// Days on which a dataset took more, less or worse than its own history lets expect
    Anomalies {
        dir: Option<PathBuf>,
        /// Those that lasted into the last so many days
        #[arg(long, value_name = "N", default_value_t = 14)]
        days: u32,
    },
    /// What is wrong and was told, and what is over lately
    Alerts {
        dir: Option<PathBuf>,
        /// Those that were resolved in the last so many days as well
        #[arg(long, value_name = "N", default_value_t = 7)]
        days: u32,
    },
    /// What is or was made beside live tables
    Backfills { dir: Option<PathBuf> },
    /// What each dataset's work has used
    Ledger { dir: Option<PathBuf> },
    /// What waits for each sink of the project
    Publications { dir: Option<PathBuf> },
    /// Functions of the library, and the datasets that use each
    Library { dir: Option<PathBuf> },
    /// Contracts and schemas that are registered, and the version of each that is in force
    Contracts { dir: Option<PathBuf> },
    /// Every version of one of them, and when it was in force
    Contract {
        /// Of the project, or a subject that was registered over HTTP
        name: String,
        dir: Option<PathBuf>,
    },
    /// The definition versions of each dataset
    Versions { dir: Option<PathBuf> },
}

impl Global {
    pub fn environment(&self) -> Environment {
        Environment { name: self.env.clone(), lake: self.lake.clone(), state: self.state.clone() }
    }

    /// The project's folder: the argument, or `--project`, or the current folder.
    pub fn folder(&self, dir: Option<&PathBuf>) -> Result<PathBuf, CliError> {
        match (dir, &self.project) {
            (Some(dir), Some(project)) if dir != project => {
                Err(CliError::TwoProjects { first: dir.clone(), second: project.clone() })
            }
            (Some(dir), _) | (None, Some(dir)) => Ok(dir.clone()),
            (None, None) => Ok(PathBuf::from(".")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_backfill_is_asked_for_in_one_way() {
        let parse = |args: &str| {
            let args = ["alluvium", "backfill", "gold.t"].into_iter().chain(args.split_whitespace());
            Cli::try_parse_from(args).map(|cli| cli.command)
        };
        let Ok(Command::Backfill(new)) = parse("--from 2024-01-01 --to 2024-01-02T06:00:00Z --window 1mo") else {
            panic!("it is complete");
        };
        assert_eq!(new.to.zip(new.from).map(|(to, from)| to.0 - from.0), Some(30 * 3_600_000_000));
        for good in ["--resume", "--swap", "--drop", "--resume --swap --tolerated-failure-percentage 0.5"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "--from 2024-01-01",
            "--from 2024-01-01 --to 2024-02-01",
            "--resume --drop",
            "--dry-run",
            "--from 2024-01-01 --to 2024-02-01 --window 1d --resume",
            "--from 2024-01-01T00:00 --to 2024-02-01 --window 1d",
            "--resume --tolerated-failure-percentage 101",
            "--resume --max-active-runs 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_project_is_named_once() {
        let global = |args: &[&str]| Cli::try_parse_from(args).expect("arguments").global;
        let g = global(&["alluvium", "check", "--project", "a"]);
        assert_eq!(g.folder(None).ok(), Some(PathBuf::from("a")));
        assert!(g.folder(Some(&PathBuf::from("b"))).is_err());
        assert_eq!(global(&["alluvium", "check"]).folder(None).ok(), Some(PathBuf::from(".")));
    }
}
