//! `/metrics`: what the process has counted, and what the node says of itself now.
//!
//! The node's numbers are written out as they are asked for, not kept by the recorder: a replica that has left would go
//! on there for ever.

use std::fmt::{Display, Write as _};

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use weir_cluster::{JournalStats, ReplicaReport, Report, WRITE_TIME_BOUNDS_US};

use super::Admin;

pub(super) async fn render(State(admin): State<Admin>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    let mut lines = Lines(admin.metrics.render());
    lines.gauge(
        "weir_ready",
        "1 while /readyz says that this node is ready",
        admin.is_ready(),
    );
    if let Some(node) = admin.readiness.node() {
        lines.report(&node.report());
    }
    (headers, lines.0).into_response()
}

/// Metrics in Prometheus' text format.
struct Lines(String);

impl Lines {
    /// Writing to a text has no way to fail.
    fn line(&mut self, text: impl Display) {
        let _ = writeln!(self.0, "{text}");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Into<u64>) {
        self.head(name, kind, help);
        let value: u64 = value.into();
        self.line(format_args!("{name} {value}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<u64>) {
        self.one(name, "gauge", help, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "counter", help, value);
    }

    /// A gauge for each replica that has it.
    fn per_group(&mut self, report: &Report, name: &str, help: &str, of: impl Fn(&ReplicaReport) -> Option<u64>) {
        self.head(name, "gauge", help);
        for replica in &report.replicas {
            if let Some(value) = of(replica) {
                self.line(format_args!("{name}{{group=\"{}\"}} {value}", replica.group));
            }
        }
    }

    fn report(&mut self, report: &Report) {
        self.gauge(
            "weir_refuses_writes",
            "1 while writes are refused for want of space",
            report.refuses_writes,
        );
        if let Some(free_bytes) = report.free_bytes {
            self.gauge(
                "weir_disk_free_bytes",
                "free space where the streams are kept",
                free_bytes,
            );
        }
        self.head("weir_cluster_nodes", "gauge", "nodes by state, as this node has heard");
        for (state, count) in &report.nodes {
            self.line(format_args!("weir_cluster_nodes{{state=\"{state}\"}} {count}"));
        }
        self.gauge("weir_cluster_moves", "moves of replicas under way", report.moves);
        self.replicas(report);
        self.journal(&report.journal);
    }

    /// Group 0 is the meta group.
    fn replicas(&mut self, report: &Report) {
        self.per_group(
            report,
            "weir_group_leads",
            "1 where this node's replica leads",
            |replica| Some(replica.leads.into()),
        );
        self.per_group(
            report,
            "weir_group_has_leader",
            "1 where this node knows a leader",
            |replica| Some(replica.has_leader.into()),
        );
        self.per_group(report, "weir_group_term", "Raft's term", |replica| Some(replica.term));
        self.per_group(report, "weir_group_log_index", "the last entry in the log", |replica| {
            Some(replica.last_log)
        });
        self.per_group(
            report,
            "weir_group_applied_index",
            "the last entry applied",
            |replica| Some(replica.applied),
        );
        let help = "where this node leads: entries that the voter lacks that is furthest behind";
        self.per_group(report, "weir_group_worst_lag", help, |replica| replica.worst_lag);
    }

    fn journal(&mut self, stats: &JournalStats) {
        let name = "weir_journal_write_seconds";
        self.head(name, "histogram", "time to write and sync what waited");
        let mut count = 0;
        for (bound_us, times) in WRITE_TIME_BOUNDS_US.iter().zip(stats.write_times) {
            count += times;
            self.line(format_args!("{name}_bucket{{le=\"{}\"}} {count}", seconds(*bound_us)));
        }
        count = stats.write_times.iter().sum();
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}"));
        self.line(format_args!("{name}_sum {}", seconds(stats.write_time_us)));
        self.line(format_args!("{name}_count {count}"));
        self.counter(
            "weir_journal_written_bytes_total",
            "bytes written and synced",
            stats.frame_bytes,
        );
        self.gauge(
            "weir_journal_queued_bytes",
            "bytes that wait to be written",
            stats.queued_bytes,
        );
        self.gauge("weir_journal_segments", "segment files in use", stats.segments);
        self.gauge(
            "weir_journal_spare_segments",
            "segment files ready to be used",
            stats.spare_segments,
        );
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_numbers_are_prometheus_text() {
        let replica = |group, leads| ReplicaReport {
            group,
            leads,
            has_leader: true,
            term: 7,
            last_log: 12,
            applied: 11,
            worst_lag: leads.then_some(3),
        };
        let mut journal = JournalStats {
            write_time_us: 1_250_000,
            frame_bytes: 8192,
            ..JournalStats::default()
        };
        journal.write_times[0] = 2;
        journal.write_times[3] = 1;
        journal.write_times[WRITE_TIME_BOUNDS_US.len()] = 1;
        let report = Report {
            nodes: [("active".to_owned(), 3)].into(),
            moves: 1,
            replicas: vec![replica(0, false), replica(4, true)],
            journal,
            free_bytes: None,
            refuses_writes: false,
        };
        let mut lines = Lines(String::new());
        lines.report(&report);
        let text = lines.0;
        for line in [
            "weir_refuses_writes 0",
            "weir_cluster_nodes{state=\"active\"} 3",
            "weir_group_leads{group=\"0\"} 0",
            "weir_group_leads{group=\"4\"} 1",
            "weir_group_worst_lag{group=\"4\"} 3",
            "weir_journal_write_seconds_bucket{le=\"0.000100\"} 2",
            "weir_journal_write_seconds_bucket{le=\"0.000500\"} 2",
            "weir_journal_write_seconds_bucket{le=\"0.001000\"} 3",
            "weir_journal_write_seconds_bucket{le=\"1.000000\"} 3",
            "weir_journal_write_seconds_bucket{le=\"+Inf\"} 4",
            "weir_journal_write_seconds_sum 1.250000",
            "weir_journal_write_seconds_count 4",
            "weir_journal_written_bytes_total 8192",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        is_all_that_is_asked_for(&text);
        assert!(!text.contains("weir_group_worst_lag{group=\"0\"}"), "it does not lead");
        assert!(!text.contains("weir_disk_free_bytes"), "it has no disk");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("weir_") && value.parse::<f64>().is_ok(), "{line}");
        }
    }

    /// A rule about a metric that does not exist would never ring.
    fn is_all_that_is_asked_for(text: &str) {
        // Those of the front end, whose own tests see to them.
        let others = [
            "weir_http_requests_total",
            "weir_http_request_duration_seconds_bucket",
            "weir_http_live_subscribers",
            "weir_disk_free_bytes",
            "weir_ready",
        ];
        let alerts = include_str!("../../../deploy/monitoring/alerts.yaml");
        let dashboard = include_str!("../../../deploy/monitoring/dashboard.json");
        let mut asked = 0;
        for file in [alerts, dashboard] {
            let words = file.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            for name in words.filter(|word| word.starts_with("weir_")) {
                let is_there = text
                    .lines()
                    .any(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
                assert!(is_there || others.contains(&name), "{name}");
                asked += 1;
            }
        }
        assert!(asked > 20, "{asked}");
    }
}
