//! A measurement as one page of HTML that needs no network: its figures as tables, and as pictures.

mod plots;

use std::fmt::Write;

use crate::{
    document::{Document, Peer, Quotient},
    trial::Outcome,
};

/// The page.
pub fn of(document: &Document) -> String {
    let outcome = &document.outcome;
    let outcomes: Vec<&Outcome> =
        std::iter::once(outcome).chain(document.peers.iter().map(|peer| &peer.outcome)).collect();
    let mut body = String::new();
    let _ =
        write!(body, "<h1>synod bench {}</h1><p>{}</p>", escaped(&document.what), load(document));
    body.push_str(&figures(document, outcome));
    body.push_str(&section("Latency", &plots::latency(&outcomes)));
    body.push_str(&section("Rounds", &plots::rounds(&outcomes)));
    if let Some(stages) = &outcome.stages_us {
        body.push_str(&section("Where the median request was", &plots::stages(stages)));
    }
    body.push_str(&section("Figures", &table(&outcomes)));
    if !document.peers.is_empty() {
        body.push_str(&section("Beside others, round by round", &ratios(&document.peers)));
    }
    body.push_str(&section("Measured on", &environment(document)));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>synod bench {}</title><style>{STYLE}</style></head><body><main>{body}</main>\
         </body></html>\n",
        escaped(&document.what)
    )
}

/// Colours that people with any eyes tell apart (Okabe and Ito), in light and dark.
const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--ink:#1b1f24;--faint:#59636e;--line:#d1d9e0;\
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#8a6d00}\
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--ink:#e6edf3;--faint:#9198a1;\
--line:#30363d;--c0:#56b4e9;--c1:#e69f00;--c2:#2fbf8f;--c3:#e39ac4;--c4:#d7b740}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:60rem;margin:0 auto;padding:1rem}\
h1{font-size:1.4rem;margin:.5rem 0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
p{margin:.25rem 0;color:var(--faint)}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;\
margin:1rem 0}\
.figures div{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .75rem}\
.figures b{display:block;font-size:1.3rem}.figures span{color:var(--faint);font-size:.85rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .75rem .25rem 0;text-align:right;border-bottom:1px solid var(--line);\
white-space:nowrap}th:first-child,td:first-child{text-align:left;position:sticky;left:0;\
background:var(--back)}th{color:var(--faint);\
font-weight:500}svg{width:100%;height:auto;display:block}svg text{fill:var(--faint);font-size:10px}\
.axis{stroke:var(--line)}.key{display:flex;flex-wrap:wrap;gap:.25rem 1rem;font-size:.9rem}\
.key i{display:inline-block;width:.8em;height:.8em;border-radius:.2em;margin-right:.4em}\
@media(max-width:30rem){svg text{font-size:14px}}";

fn section(title: &str, content: &str) -> String {
    format!("<h2>{title}</h2>{content}")
}

fn load(document: &Document) -> String {
    let outcome = &document.outcome;
    let pace = match outcome.rate_per_s {
        None => "closed loop".to_owned(),
        Some(rate) => format!("open loop at {rate} requests a second, from intended starts"),
    };
    format!(
        "{} clients, {}, {} of {} bytes; {} rounds, the floor between them",
        outcome.clients,
        pace,
        escaped(&document.mix),
        document.value_bytes,
        outcome.rounds.len()
    )
}

fn figures(document: &Document, outcome: &Outcome) -> String {
    let mut shown = vec![
        (format!("{:.0}/s", outcome.ops_per_s), "requests".to_owned()),
        (ms(outcome.latency_us.p50), "median".to_owned()),
        (ms(outcome.latency_us.p99), "99th percentile".to_owned()),
    ];
    if let (Some(over), Some(floor)) = (outcome.over_floor, outcome.floor_us) {
        shown.push((format!("{over:.2} ×"), format!("the floor of {}", ms(floor.sum))));
    }
    if let Some(cpu) = outcome.server_cpu_s_per_10k {
        shown.push((format!("{cpu:.2} s"), "servers' CPU for 10\u{a0}000".to_owned()));
    }
    for peer in &document.peers {
        let what = format!("the rate of {}", escaped(&peer.outcome.target));
        shown.push((format!("{:.1} ×", peer.ratio.ops.median), what));
    }
    let mut text = "<div class=\"figures\">".to_owned();
    for (figure, what) in shown {
        let _ = write!(text, "<div><b>{figure}</b><span>{what}</span></div>");
    }
    text + "</div>"
}

fn table(outcomes: &[&Outcome]) -> String {
    let head = ["", "requests/s", "p50", "p90", "p99", "p99.9", "max", "not done", "memory"];
    let rows = outcomes.iter().map(|outcome| {
        let latency = &outcome.latency_us;
        let memory = outcome.rss_bytes.map_or("–".to_owned(), |rss| {
            format!("{:.0} MiB", rss.max as f64 / f64::from(1 << 20))
        });
        let rate = &outcome.spread.ops_per_s;
        vec![
            escaped(&outcome.target),
            format!("{:.0} ± {:.0}", outcome.ops_per_s, rate.within),
            ms(latency.p50),
            ms(latency.p90),
            ms(latency.p99),
            ms(latency.p999),
            ms(latency.max),
            outcome.errors.sum().to_string(),
            memory,
        ]
    });
    tabled(&head, rows)
}

fn ratios(peers: &[Peer]) -> String {
    let head = ["synod over", "requests/s", "p50", "p99", "servers' CPU"];
    let quotient = |of: Quotient| format!("{:.2} ({:.2}–{:.2})", of.median, of.low, of.high);
    let rows = peers.iter().map(|peer| {
        let ratio = &peer.ratio;
        let cpu = ratio.server_cpu.map_or("–".to_owned(), |cpu| format!("{cpu:.2}"));
        let target = escaped(&peer.outcome.target);
        vec![target, quotient(ratio.ops), quotient(ratio.p50), quotient(ratio.p99), cpu]
    });
    tabled(&head, rows)
}

fn environment(document: &Document) -> String {
    let on = &document.environment;
    let cores = on.cores.to_string();
    let rows = [
        ("processors", &cores),
        ("of kind", &on.cpu),
        ("disk", &on.disk),
        ("filesystem", &on.filesystem),
        ("kernel", &on.kernel),
        ("version", &on.version),
        ("commit", &on.commit),
        ("profile", &on.profile),
    ];
    let rows = rows.into_iter().filter(|(_, what)| !what.is_empty());
    tabled(&["", ""], rows.map(|(name, what)| vec![name.to_owned(), escaped(what)]))
}

fn tabled(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = "<div class=\"wide\"><table>".to_owned();
    if head.iter().any(|word| !word.is_empty()) {
        let words: String = head.iter().map(|word| format!("<th>{word}</th>")).collect();
        let _ = write!(text, "<tr>{words}</tr>");
    }
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = write!(text, "<tr>{cells}</tr>");
    }
    text + "</table></div>"
}

/// Microseconds, for people.
fn ms(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.0} ms", us as f64 / 1e3),
    }
}

/// Text that is no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        document::{Ratio, SCHEMA},
        environment::Environment,
        trial::{Errors, Generator, Latency, RoundOutcome, Spread},
    };

    fn outcome(target: &str) -> Outcome {
        Outcome {
            target: target.to_owned(),
            clients: 4,
            rate_per_s: None,
            ops_per_s: 1_000.0,
            latency_us: Latency {
                count: 9,
                p50: 900,
                p90: 950,
                p99: 4_999,
                p999: 12_000,
                max: 700_000,
            },
            by_op: std::collections::BTreeMap::new(),
            floor_us: None,
            over_floor: None,
            stages_us: None,
            errors: Errors::default(),
            server_cpu_s_per_10k: None,
            rss_bytes: None,
            spread: Spread::default(),
            rounds: vec![RoundOutcome { ops_per_s: 1_000.0, p50_us: 900, p99_us: 4_999 }; 3],
            generator: Generator { cpu_share: 0.1, late_us_p99: None, saturated: false },
            histogram_us: vec![(950, 6), (5_000, 2), (700_000, 1)],
        }
    }

    /// Seen in a browser at 390 px: 10 ms and 20 ms were one word. And there are two at least.
    #[test]
    fn words_below_a_picture_do_not_lie_on_each_other() {
        for (from, to) in [(500, 22_000), (400, 38_000), (1, 9_000_000), (700, 900), (90, 1_000)] {
            let outcome = Outcome { histogram_us: vec![(from, 1), (to, 1)], ..outcome("synod") };
            let svg = plots::latency(&[&outcome]);
            let words = svg.split("<text x=\"").filter_map(|text| {
                let (at, rest) = text.split_once('"')?;
                let (_, rest) = rest.split_once("text-anchor=\"")?;
                let at: f64 = at.parse().ok()?;
                Some(if rest.starts_with("end") { at - plots::LABEL } else { at })
            });
            let words: Vec<f64> = words.collect();
            assert!(words.len() >= 2, "{from} to {to}: {words:?}");
            let apart = words.windows(2).all(|pair| pair[1] - pair[0] >= plots::LABEL);
            assert!(apart, "{from} to {to}: {words:?}");
        }
    }

    /// A page asks nobody for anything, and what others named is no markup of it.
    #[test]
    fn a_page_stands_alone() {
        let (one, other) = (outcome("synod"), outcome("<script>"));
        let ratio = Ratio::of(&one, &other);
        let document = Document {
            schema: SCHEMA.to_owned(),
            what: "kv".to_owned(),
            mix: "put=1".to_owned(),
            value_bytes: 128,
            keys: 10,
            outcome: one,
            locks_held: None,
            peers: vec![Peer { outcome: other, ratio }],
            environment: Environment::here(None),
        };
        let page = of(&document);
        for alone in ["src=", "href=", "url(", "@import", "<script", "http"] {
            assert!(!page.contains(alone), "{alone}");
        }
        for shown in ["&lt;script&gt;", "900 µs", "5.00 ms", "12.0 ms", "700 ms", "<svg"] {
            assert!(page.contains(shown), "{shown}");
        }
    }
}
