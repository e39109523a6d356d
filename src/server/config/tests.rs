use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::KEYS;
use super::layers::{Setting, apply_environment, apply_file, apply_flags, defaults};
use super::*;

/// What each layer says; the file's text is TOML.
#[derive(Default)]
struct Layers<'a> {
    file: Option<&'a str>,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [(&'static str, &'a str)],
}

impl Layers<'_> {
    fn settings(&self, path: &Path) -> Result<Settings, ConfigError> {
        let mut settings = defaults();
        if let Some(text) = self.file {
            std::fs::write(path, text).unwrap();
            apply_file(&mut settings, path)?;
        }
        let variables = self.environment.iter().map(|(name, value)| (name.into(), value.into()));
        apply_environment(&mut settings, variables.collect::<Vec<(OsString, OsString)>>())?;
        let flags: Vec<_> = self
            .flags
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        apply_flags(&mut settings, &flags)?;
        Ok(settings)
    }

    fn load(&self) -> Result<(Config, Settings), ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let settings = self.settings(&dir.path().join("weir.toml"))?;
        Ok((Config::new(&settings)?, settings))
    }

    /// The refusal, with the file's directory taken out of it.
    fn refusal(&self) -> String {
        let dir = tempfile::tempdir().unwrap();
        let refused = self
            .settings(&dir.path().join("weir.toml"))
            .and_then(|settings| Config::new(&settings))
            .expect_err("accepted");
        refused
            .to_string()
            .replace(&format!("{}/", dir.path().display()), "DIR/")
    }
}

#[test]
fn the_defaults_are_those_of_the_front_end() {
    let config = Config::new(&defaults()).unwrap();
    assert_eq!(config.http(), weir_http::Settings::default());
    assert_eq!(config.listen.to_string(), "127.0.0.1:4437");
    assert_eq!(config.admin_listen.to_string(), "127.0.0.1:4439");
    assert_eq!(config.data_dir, PathBuf::from("./weir-data"));
    assert_eq!(config.storage, Storage::Redb);
    assert_eq!(config.log_format, LogFormat::Text);
    for key in KEYS {
        assert!(key.kind.accepts(key.default), "{} has an impossible default", key.name);
    }
}

#[test]
fn each_layer_wins_over_those_before_it() {
    let file = Some("long_poll_timeout = \"1s\"\n");
    let environment: &[_] = &[("WEIR_LONG_POLL_TIMEOUT", "2s")];
    let flags: &[_] = &[("long_poll_timeout", "3s")];
    let cases: [(Layers<'_>, u64, &str); 6] = [
        (Layers::default(), 20, "the defaults"),
        (
            Layers {
                file,
                ..Layers::default()
            },
            1,
            "file ",
        ),
        (
            Layers {
                environment,
                ..Layers::default()
            },
            2,
            "environment variable WEIR_LONG_POLL_TIMEOUT",
        ),
        (
            Layers {
                file,
                environment,
                ..Layers::default()
            },
            2,
            "environment variable WEIR_LONG_POLL_TIMEOUT",
        ),
        (
            Layers {
                file,
                environment,
                flags,
            },
            3,
            "flag --long-poll-timeout",
        ),
        // An empty variable counts as absent.
        (
            Layers {
                file,
                environment: &[("WEIR_LONG_POLL_TIMEOUT", "")],
                ..Layers::default()
            },
            1,
            "file ",
        ),
    ];
    for (layers, seconds, source) in cases {
        let (config, settings) = layers.load().unwrap();
        assert_eq!(config.http().long_poll_timeout, Duration::from_secs(seconds));
        let found = settings["long_poll_timeout"].source.to_string();
        assert!(found.starts_with(source), "{found} is not {source}");
    }
}

#[test]
fn every_key_can_be_set_in_every_layer() {
    let other = |name: &str| match name {
        "listen" | "admin_listen" | "peer_listen" => "[::1]:9",
        "peer_advertise" | "client_advertise" | "admin_advertise" => "node-1.example:9",
        "nodes" | "join" => "node-1.example:9,[::1]:7",
        "zone" => "rack-7",
        "groups" | "replication_factor" | "max_connections" => "5",
        "heartbeat_interval" => "200ms",
        "data_dir" => "/elsewhere",
        "storage" => "memory",
        "cors_allow_origin" => "https://example.org",
        "log_filter" => "warn,weir_http=debug",
        "log_format" => "json",
        "max_inflight_body_bytes" => "20000000",
        _ if name.ends_with("_bytes") => "5000000",
        _ => "1m 30s",
    };
    for key in KEYS {
        let text = other(key.name);
        assert_ne!(text, key.default);
        let file = format!("{} = {}\n", key.name, key.kind.to_toml(text));
        let variable = key.env_name();
        // A list may be text in a file as well.
        let as_text = match key.kind.to_toml(text) {
            toml::Value::Array(_) => format!("{} = '{text}'\n", key.name),
            _ => file.clone(),
        };
        let layers = [
            Layers {
                file: Some(&file),
                ..Layers::default()
            },
            Layers {
                file: Some(&as_text),
                ..Layers::default()
            },
            Layers {
                environment: &[(&variable, text)],
                ..Layers::default()
            },
            Layers {
                flags: &[(key.name, text)],
                ..Layers::default()
            },
        ];
        let all: Vec<_> = layers.iter().map(|layers| layers.load().unwrap()).collect();
        for (config, settings) in &all {
            assert_eq!(settings[key.name].text, text);
            assert_eq!(config, &all[0].0);
            assert_ne!(config, &Config::new(&defaults()).unwrap());
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_place_and_what_can_be() {
    let file = |text| Layers {
        file: Some(text),
        ..Layers::default()
    };
    let cases: &[(Layers<'_>, &[&str])] = &[
        (
            file("lisen = \"127.0.0.1:1\"\n"),
            &[
                "unknown key 'lisen' in file DIR/weir.toml",
                "allowed keys: listen, admin_listen,",
            ],
        ),
        (
            file("[http]\nlisten = \"127.0.0.1:1\"\n"),
            &["unknown key 'http' in file DIR/weir.toml"],
        ),
        (
            file("storage = \"sqlite\"\n"),
            &["storage: impossible value 'sqlite' in file DIR/weir.toml; allowed: memory, file, redb"],
        ),
        (
            file("long_poll_timeout = 1\n"),
            &["long_poll_timeout: impossible value 1 in file DIR/weir.toml; allowed: a duration from 1ms to 1h"],
        ),
        (
            file("cache_bytes = \"1000000000\"\n"),
            &["cache_bytes: impossible value \"1000000000\" in file DIR/weir.toml; allowed: an integer from 1048576"],
        ),
        (
            file("cache_bytes = 5.5e6\n"),
            &["cache_bytes: impossible value 5500000 in file DIR/weir.toml"],
        ),
        (file("storage = true\n"), &["storage: impossible value true in file"]),
        (file("listen = []\n"), &["listen: impossible value (an array) in file"]),
        (
            file("listen = \n"),
            &["the configuration file DIR/weir.toml is not valid TOML", "line 1"],
        ),
        (
            Layers {
                environment: &[("WEIR_LISEN", "127.0.0.1:1")],
                ..Layers::default()
            },
            &["unknown environment variable WEIR_LISEN; allowed: WEIR_CONFIG, WEIR_URL, WEIR_ADMIN_URL, WEIR_LISTEN,"],
        ),
        (
            Layers {
                environment: &[("WEIR_LISTEN", "localhost:4437")],
                ..Layers::default()
            },
            &[
                "listen: impossible value 'localhost:4437' in environment variable WEIR_LISTEN",
                "allowed: an IP address and a port, such as 127.0.0.1:4437",
            ],
        ),
        (
            Layers {
                flags: &[("sse_keep_alive", "0s")],
                ..Layers::default()
            },
            &["sse_keep_alive: impossible value '0s' in flag --sse-keep-alive; allowed: a duration from 1ms to 1h"],
        ),
        (
            Layers {
                flags: &[("request_timeout", "5")],
                ..Layers::default()
            },
            &["request_timeout: impossible value '5' in flag --request-timeout"],
        ),
        (
            Layers {
                flags: &[("cors_allow_origin", "https://example.org/path")],
                ..Layers::default()
            },
            &["cors_allow_origin: impossible value", "allowed: '*' or one origin"],
        ),
        (
            Layers {
                flags: &[("log_filter", "weir_http=loud")],
                ..Layers::default()
            },
            &["log_filter: impossible value 'weir_http=loud' in flag --log-filter; allowed: off, error,"],
        ),
        (
            Layers {
                flags: &[("log_filter", "verbose")],
                ..Layers::default()
            },
            &["log_filter: impossible value 'verbose' in flag --log-filter; allowed: off, error,"],
        ),
        (
            Layers {
                flags: &[("peer_advertise", "0.0.0.0:4436")],
                ..Layers::default()
            },
            &[
                "peer_advertise: impossible value '0.0.0.0:4436' in flag --peer-advertise",
                "not 0.0.0.0 or [::]",
            ],
        ),
        (
            Layers {
                flags: &[("join", "node-1")],
                ..Layers::default()
            },
            &["join: impossible value 'node-1' in flag --join; allowed: a host and a port"],
        ),
        (
            Layers {
                environment: &[("WEIR_NODES", "a:1,b:2,A:1")],
                ..Layers::default()
            },
            &[
                "nodes: impossible value 'a:1,b:2,A:1' in environment variable WEIR_NODES",
                "none twice",
            ],
        ),
        (
            file("nodes = [\"a:1\", 2]\n"),
            &["nodes: impossible value (an array) in file DIR/weir.toml"],
        ),
        (
            file("groups = 1025\n"),
            &["groups: impossible value '1025' in file DIR/weir.toml; allowed: an integer from 0 to 1024"],
        ),
        // Each possible by itself, but not together.
        (
            Layers {
                file: Some("heartbeat_interval = \"1s\"\n"),
                ..Layers::default()
            },
            &[
                "election_timeout: impossible value '1500ms' in the defaults",
                "allowed: at least 3 times heartbeat_interval",
            ],
        ),
        (
            Layers {
                file: Some("storage = \"file\"\n"),
                environment: &[("WEIR_JOIN", "a:1")],
                ..Layers::default()
            },
            &["storage: impossible value 'file' in file DIR/weir.toml; allowed: redb, as nodes or join is set"],
        ),
        (
            Layers {
                file: Some("max_body_bytes = 2000000\n"),
                flags: &[("max_inflight_body_bytes", "1000000")],
                ..Layers::default()
            },
            &[
                "max_inflight_body_bytes: impossible value '1000000' in flag --max-inflight-body-bytes",
                "allowed: at least max_body_bytes",
            ],
        ),
    ];
    for (layers, parts) in cases {
        let refusal = layers.refusal();
        for part in *parts {
            assert!(refusal.contains(part), "{refusal:?} lacks {part:?}");
        }
    }
}

#[test]
fn a_wrong_value_is_refused_even_where_a_later_layer_sets_another() {
    let refusal = Layers {
        file: Some("storage = \"sqlite\"\n"),
        flags: &[("storage", "redb")],
        ..Layers::default()
    }
    .refusal();
    assert!(refusal.contains("'sqlite'"), "{refusal}");
}

#[test]
fn a_missing_file_is_refused() {
    let error = apply_file(&mut defaults(), Path::new("/nonexistent/weir.toml")).expect_err("read");
    let expected = "the configuration file /nonexistent/weir.toml cannot be read";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn variables_that_kubernetes_sets_are_not_taken_for_keys() {
    let links: &[(&str, &str)] = &[
        ("WEIR_SERVICE_HOST", "10.0.0.1"),
        ("WEIR_SERVICE_PORT", "4437"),
        ("WEIR_SERVICE_PORT_HTTP", "4437"),
        ("WEIR_PORT", "tcp://10.0.0.1:4437"),
        ("WEIR_PORT_4437_TCP", "tcp://10.0.0.1:4437"),
        ("WEIR_PORT_4437_TCP_ADDR", "10.0.0.1"),
        ("WEIR_PEERS_SERVICE_HOST", "10.0.0.2"),
        ("WEIR_URL", "http://127.0.0.1:4437"),
        ("WEIR_CONFIG", "/etc/weir.toml"),
        ("HOME", "/root"),
    ];
    let layers = Layers {
        environment: links,
        ..Layers::default()
    };
    assert_eq!(layers.settings(Path::new("unused")).unwrap(), defaults());
}

#[test]
fn what_is_printed_is_a_file_that_gives_the_same_again() {
    let (config, settings) = Layers {
        file: Some("data_dir = 'a \"quoted\" # path'\n"),
        environment: &[("WEIR_STORAGE", "file")],
        flags: &[("max_read_bytes", "1000"), ("sse_keep_alive", "1m 30s")],
    }
    .load()
    .unwrap();
    let printed = to_toml(&settings);
    for line in [
        "listen = \"127.0.0.1:4437\"\n",
        "storage = \"file\" # environment variable WEIR_STORAGE\n",
        "max_read_bytes = 1000 # flag --max-read-bytes\n",
    ] {
        assert!(printed.contains(line), "{printed}\nlacks {line}");
    }
    let (again, _) = Layers {
        file: Some(&printed),
        ..Layers::default()
    }
    .load()
    .unwrap();
    assert_eq!(again, config);

    let json: serde_json::Value = serde_json::from_str(&to_json(&settings)).unwrap();
    assert_eq!(json["max_read_bytes"]["value"], 1000);
    assert_eq!(json["max_read_bytes"]["source"], "flag --max-read-bytes");
    assert_eq!(json["listen"]["source"], "default");
}

#[test]
fn a_line_break_in_a_path_does_not_leave_the_comment() {
    let mut settings = defaults();
    let source = Source::File(PathBuf::from("a\nlisten = 1"));
    let text = "memory".to_owned();
    settings.insert("storage", Setting { text, source });
    assert!(to_toml(&settings).contains("storage = \"memory\" # file a?listen = 1\n"));
}

#[test]
fn the_readme_has_every_key_and_no_other() {
    let readme = include_str!("../README.md");
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("`WEIR_"))
        .collect();
    let expected: Vec<String> = KEYS
        .iter()
        .map(|key| {
            format!(
                "| `{}` | `{}` | {} | `{}` | `--{}` | {} |",
                key.name,
                key.kind.to_toml(key.default),
                key.kind.allowed().replace('|', "\\|"),
                key.env_name(),
                key.flag(),
                key.help
            )
        })
        .collect();
    assert_eq!(rows, expected, "README.md should have:\n{}", expected.join("\n"));
}
