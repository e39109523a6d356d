//! nginx as a plain round-robin proxy: every request goes to another node than the one before.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Where Debian puts it; the path of a user who is not root often lacks the directory.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// A running proxy. Dropping it kills it.
pub(crate) struct Nginx {
    process: Child,
    address: SocketAddr,
    scratch: TempDir,
}

impl Nginx {
    /// Starts a proxy before these servers, each `http://host:port`.
    pub(crate) fn start(servers: &[String]) -> Self {
        let program = find();
        let scratch = super::scratch();
        // The port is free again for nginx; nobody else is given it so soon.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let configuration = scratch.path().join("nginx.conf");
        fs::write(&configuration, configure(servers, address, &scratch)).unwrap();
        let errors = fs::File::create(scratch.path().join("stderr")).unwrap();
        let process = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .arg("-p")
            .arg(scratch.path())
            .arg("-e")
            .arg(scratch.path().join("error.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut nginx = Self {
            process,
            address,
            scratch,
        };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            let ended = nginx.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "nginx did not start: {}",
                nginx.errors()
            );
            thread::sleep(Duration::from_millis(20));
        }
        nginx
    }

    /// The base URL, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests each server was sent, by its address.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        let log = fs::read_to_string(self.scratch.path().join("access.log")).unwrap();
        let mut requests = BTreeMap::new();
        // One that did not answer is followed by the next one, behind a comma.
        for server in log.lines().flat_map(|line| line.split(", ")) {
            *requests.entry(server.trim().to_owned()).or_default() += 1;
        }
        requests
    }

    fn errors(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default();
        read("stderr") + &read("error.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("--- nginx complains\n{}", self.errors());
        }
    }
}

fn find() -> PathBuf {
    let works = |program: &&&str| {
        let tried = Command::new(program).arg("-v").stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let found = PROGRAMS.iter().find(works);
    found.map(PathBuf::from).unwrap_or_else(|| {
        panic!("nginx was not found; this test needs it as a proxy (on Debian: apt-get install nginx-light)")
    })
}

/// One process, which a SIGKILL ends whole. Round robin is nginx's default. Nothing is held back, as answers may never
/// end, and no server is left out because it failed before (`max_fails`): the next request tries it again.
///
/// A request that a server did not answer goes to the next server, which is nginx's default too, but for POST: that may
/// have been done. With producer headers it may be sent again all the same, so those requests have a place of their own
/// where nginx is told so.
fn configure(servers: &[String], address: SocketAddr, scratch: &TempDir) -> String {
    let dir = scratch.path().display();
    let servers = servers
        .iter()
        .map(|url| format!("    server {} max_fails=0;\n", url.trim_start_matches("http://")));
    let servers: String = servers.collect();
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| format!("  {name}_temp_path {dir}/{name};\n"));
    let temporary = temporary.concat();
    format!(
        "daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/error.log warn;
events {{ worker_connections 4096; }}
http {{
{temporary}  log_format upstream '$upstream_addr';
  access_log {dir}/access.log upstream;
  upstream weir {{
{servers}  }}
  server {{
    listen {address};
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_set_header Host $http_host;
    proxy_buffering off;
    proxy_read_timeout 300s;
    location / {{
      error_page 418 = @producer;
      if ($http_producer_id) {{ return 418; }}
      proxy_pass http://weir;
    }}
    location @producer {{
      proxy_next_upstream error timeout non_idempotent;
      proxy_pass http://weir;
    }}
  }}
}}
"
    )
}
