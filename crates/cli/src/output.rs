//! Where a command's data goes: standard output, or a file that appears when it is complete.

use crate::error::CliError;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Yes,
    /// Nobody reads any more, as behind `| head`: no more is wanted, and nothing is wrong.
    NoReader,
}

pub enum Destination {
    Stdout(io::StdoutLock<'static>),
    File(Staged),
}

/// A file under another name until [`Destination::finish`]; removed if that never comes.
pub struct Staged {
    file: File,
    part: PathBuf,
    to: PathBuf,
    complete: bool,
}

impl Destination {
    pub fn stdout() -> Self {
        Self::Stdout(io::stdout().lock())
    }

    pub fn file(to: &Path) -> Result<Self, CliError> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = to.with_file_name(name);
        let file = File::create(&part).map_err(CliError::file(to))?;
        Ok(Self::File(Staged { file, part, to: to.to_owned(), complete: false }))
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<Written, CliError> {
        match self {
            Self::Stdout(out) => tell(out.write_all(bytes)),
            Self::File(staged) => {
                staged.file.write_all(bytes).map_err(CliError::file(&staged.to))?;
                Ok(Written::Yes)
            }
        }
    }

    pub fn finish(self) -> Result<(), CliError> {
        match self {
            Self::Stdout(mut out) => tell(out.flush()).map(|_| ()),
            Self::File(mut staged) => {
                staged.file.sync_all().map_err(CliError::file(&staged.to))?;
                fs::rename(&staged.part, &staged.to).map_err(CliError::file(&staged.to))?;
                staged.complete = true;
                Ok(())
            }
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.complete {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Prints a command's whole answer.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = Destination::stdout();
    out.write(text.as_bytes())?;
    out.finish()
}

/// Prints a value as indented JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}

/// Says something beside the data. There is nobody to tell if it fails.
pub fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn tell(result: io::Result<()>) -> Result<Written, CliError> {
    match result {
        Ok(()) => Ok(Written::Yes),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Written::NoReader),
        Err(e) => Err(CliError::Output(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_only_when_it_is_complete() {
        let t = tempfile::tempdir().expect("a folder");
        let to = t.path().join("result.csv");
        let mut out = Destination::file(&to).expect("a file");
        out.write(b"a\n").expect("written");
        drop(out);
        assert_eq!(fs::read_dir(t.path()).expect("a folder").count(), 0);
        let mut out = Destination::file(&to).expect("a file");
        out.write(b"a\n").expect("written");
        assert!(!to.exists());
        out.finish().expect("finished");
        assert_eq!(fs::read_to_string(&to).expect("a file"), "a\n");
        assert_eq!(fs::read_dir(t.path()).expect("a folder").count(), 1);
    }
}
