//! `sim`: runs seeds.

use weir_sim::seed::{Keep, run};

fn main() {
    let mut args = std::env::args().skip(1);
    let seed = args.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let level = match args.next().as_deref() {
        Some("debug") => tracing::Level::DEBUG,
        Some("trace") => tracing::Level::TRACE,
        _ => tracing::Level::INFO,
    };
    let echo = args.next().is_some();
    let ran = run(
        seed,
        Keep {
            trace: !echo,
            echo,
            level,
        },
    );
    print!("{}", ran.trace);
    print!("{}", String::from_utf8_lossy(&ran.outcome.history));
    println!(
        "{seed} {:016x} {:?} {:?} {}ms",
        ran.hash, ran.outcome.violation, ran.outcome.counts, ran.outcome.elapsed_ms
    );
}
