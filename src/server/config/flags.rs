//! The flags that set keys, made from the table of keys.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::keys::KEYS;
use crate::config::{Config, ConfigError, Settings, layers};

/// `--config` and one flag per key.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigArgs {
    pub(crate) file: Option<PathBuf>,
    pub(crate) flags: Vec<(&'static str, String)>,
}

const FILE: &str = "config";

impl ConfigArgs {
    /// All layers, with the process's environment.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub(crate) fn load(&self) -> Result<(Config, Settings), ConfigError> {
        let mut settings = layers::defaults();
        if let Some(path) = &self.file {
            layers::apply_file(&mut settings, path)?;
        }
        layers::apply_environment(&mut settings, std::env::vars_os())?;
        layers::apply_flags(&mut settings, &self.flags)?;
        Ok((Config::new(&settings)?, settings))
    }
}

impl ConfigArgs {
    /// The flags of all keys that are `wanted`.
    pub(crate) fn augment(command: Command, wanted: impl Fn(&str) -> bool) -> Command {
        let file = Arg::new(FILE)
            .long("config")
            .env("WEIR_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(OsString))
            .help("The configuration file, in TOML");
        let flags = KEYS.iter().filter(|key| wanted(key.name)).map(|key| {
            Arg::new(key.name)
                .long(key.flag())
                .value_name("VALUE")
                .help(key.help)
                .long_help(format!(
                    "{}.\nAllowed: {}. Default: {}",
                    key.help,
                    key.kind.allowed(),
                    if key.default.is_empty() { "none" } else { key.default }
                ))
        });
        command.arg(file).args(flags)
    }
}

impl Args for ConfigArgs {
    fn augment_args(command: Command) -> Command {
        Self::augment(command, |_| true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ConfigArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let file: Option<&OsString> = matches.get_one(FILE);
        // Empty counts as absent, as with every other variable.
        self.file = file.filter(|path| !path.is_empty()).map(PathBuf::from);
        // A command may lack the flags of some keys.
        let flag = |name: &'static str| Some((name, matches.try_get_one::<String>(name).ok()??.clone()));
        self.flags = KEYS.iter().filter_map(|key| flag(key.name)).collect();
        Ok(())
    }
}
