//! Exit codes. README.md has the table; a test keeps the two alike.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Something that has no code of its own.
    Failed = 1,
    /// The command line or the configuration is wrong. clap uses it too.
    Usage = 2,
    /// The server cannot be reached, or the connection broke and could not be resumed.
    Unreachable = 3,
    /// The server says 404 or 410.
    NotFound = 4,
    /// The server says 403 or 409.
    Conflict = 5,
    /// The server says another 4xx.
    Refused = 6,
    /// The server says 408, 429 or 5xx.
    ServerFailed = 7,
    /// An address cannot be listened on.
    Address = 10,
    /// The data directory cannot be used, or is in use.
    DataDir = 11,
    /// The storage did not open.
    Open = 12,
    /// The storage failed while serving.
    Storage = 13,
    /// A graceful end was not finished within its bound, or not completely.
    Shutdown = 14,
    /// No cluster takes this node.
    Cluster = 15,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    const ALL: [Self; 14] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::NotFound,
        Self::Conflict,
        Self::Refused,
        Self::ServerFailed,
        Self::Address,
        Self::DataDir,
        Self::Open,
        Self::Storage,
        Self::Shutdown,
        Self::Cluster,
    ];

    /// What a process of ours meant by its code.
    pub(crate) fn from_code(code: i32) -> Self {
        let known = Self::ALL.into_iter().find(|exit| *exit as i32 == code);
        known.unwrap_or(Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_code() {
        let readme = include_str!("README.md");
        for exit in Exit::ALL {
            let row = format!("\n| {} | ", exit as u8);
            assert!(readme.contains(&row), "README.md lacks {exit:?}: {row}");
        }
    }
}
