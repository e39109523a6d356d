//! Configuration as the process takes it: the rules themselves are tested beside the code.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::support::{Done, run, weir};

#[test]
fn config_shows_every_layer() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weir.toml");
    std::fs::write(&file, "storage = \"file\"\nmax_read_bytes = 1000\n").unwrap();
    let mut command = weir(&["config", "--max-read-bytes", "3000"]);
    command.env("WEIR_CONFIG", &file).env("WEIR_LISTEN", "127.0.0.1:1");
    let printed = Done::of(command.output().unwrap()).ok();
    let file_comment = format!("storage = \"file\" # file {}\n", file.display());
    for line in [
        "listen = \"127.0.0.1:1\" # environment variable WEIR_LISTEN\n",
        "admin_listen = \"127.0.0.1:4439\"\n",
        "max_read_bytes = 3000 # flag --max-read-bytes\n",
        &file_comment,
    ] {
        assert!(printed.contains(line), "{printed}\nlacks {line}");
    }

    // The flag that names a file wins over the variable.
    let mut command = weir(&["config", "--json", "--config"]);
    command.arg(&file).env("WEIR_CONFIG", "/nonexistent");
    let json: serde_json::Value = serde_json::from_str(&Done::of(command.output().unwrap()).ok()).unwrap();
    assert_eq!(json["storage"]["value"], "file");
    assert_eq!(json["listen"]["source"], "default");
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let mut command = weir(&["config"]);
    command.env("WEIR_CONFIG", "").env("WEIR_STORAGE", "");
    let printed = Done::of(command.output().unwrap()).ok();
    assert!(printed.contains("storage = \"redb\"\n"), "{printed}");
}

#[test]
fn a_variable_that_is_no_text_is_refused() {
    let mut command = weir(&["config"]);
    command.env("WEIR_DATA_DIR", OsStr::from_bytes(b"/data/\xff"));
    let complaint = Done::of(command.output().unwrap()).refused(2);
    assert_eq!(
        complaint,
        "error: the value of environment variable WEIR_DATA_DIR is not UTF-8\n"
    );
}

#[test]
fn mistakes_end_with_2_and_name_the_key_the_place_and_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weir.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:1\"\n").unwrap();
    for command in ["dev", "config"] {
        let complaint = run(&[command, "--config", file.to_str().unwrap()]).refused(2);
        let expected = format!(
            "error: unknown key 'lisen' in file {}; allowed keys: listen, ",
            file.display()
        );
        assert!(complaint.starts_with(&expected), "{complaint}");

        let mut variable = weir(&[command]);
        variable.env("WEIR_STORAGE", "sqlite");
        let complaint = Done::of(variable.output().unwrap()).refused(2);
        let expected = "error: storage: impossible value 'sqlite' in environment variable WEIR_STORAGE; \
                        allowed: memory, file, redb\n";
        assert_eq!(complaint, expected);

        let complaint = run(&[command, "--long-poll-timeout", "0s"]).refused(2);
        assert!(
            complaint.contains("in flag --long-poll-timeout; allowed: a duration"),
            "{complaint}"
        );

        let complaint = run(&[command, "--lisen", "127.0.0.1:1"]).refused(2);
        assert!(complaint.contains("--lisen"), "{complaint}");

        let complaint = run(&[command, "--config", "/nonexistent/weir.toml"]).refused(2);
        assert!(
            complaint.contains("/nonexistent/weir.toml cannot be read"),
            "{complaint}"
        );
    }
}
