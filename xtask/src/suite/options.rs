//! What `cargo xtask test` was asked to do.

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub lint: bool,
    /// For `cargo test`, in place of `--workspace`.
    pub select: Vec<String>,
}

impl Options {
    /// What is wrong with the arguments, in words for a person.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        for (i, arg) in args.iter().enumerate() {
            match arg.as_str() {
                "--lint" => options.lint = true,
                "--" => {
                    options.select = args[i + 1..].to_vec();
                    break;
                }
                other => return Err(format!("`{other}` is not known; arguments for `cargo test` go after `--`")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_for_cargo_follow_the_dashes() {
        let parse = |a: &[&str]| Options::parse(&a.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(parse(&["--lint"]), Ok(Options { lint: true, select: vec![] }));
        assert_eq!(
            parse(&["--", "-p", "x"]),
            Ok(Options { lint: false, select: vec!["-p".to_owned(), "x".to_owned()] })
        );
        assert!(parse(&["--lnt"]).is_err());
    }
}
