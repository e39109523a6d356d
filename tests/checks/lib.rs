//! What must hold for any bytes whatever. Each check panics when it does not.
//!
//! | file | what it holds |
//! |---|---|
//! | `offsets` | texts as offsets, and positions as texts |
//! | `names` | texts and URL paths as stream names |
//! | `headers` | texts as header values: producer, lifetime, content type, `Stream-Seq`, cursor, `If-None-Match` |
//! | `json` | bodies in JSON mode |
//! | `grammar` | JSON's grammar once more, to have something to compare with |
//! | `recovery/` | the file backend over damaged files: a history (`script`), damage (`damage`, `layout`), what is seen (`state`) |
//! | `seeds` | inputs to begin with |
//!
//! The fuzz targets in `tests/fuzz` call these for as long as one likes; `tests/main.rs` calls them in every test run,
//! with a bounded number of changed seeds.
//!
//! Invariant: a check is a function of its input alone, so that an input that failed once fails again.

mod grammar;
mod headers;
mod json;
mod names;
mod offsets;
mod recovery;
mod seeds;

pub use headers::headers;
pub use json::json;
pub use names::names;
pub use offsets::offsets;
pub use recovery::file_recovery;

/// One check with inputs to begin with.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, which is also the fuzz target's.
    pub name: &'static str,
    /// The check.
    pub check: fn(&[u8]),
    /// Inputs that reach far into the code under test.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All checks.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "offsets",
        check: offsets,
        seeds: seeds::offsets,
    },
    Target {
        name: "names",
        check: names,
        seeds: seeds::names,
    },
    Target {
        name: "headers",
        check: headers,
        seeds: seeds::headers,
    },
    Target {
        name: "json",
        check: json,
        seeds: seeds::json,
    },
    Target {
        name: "file_recovery",
        check: file_recovery,
        seeds: recovery::seeds,
    },
];
