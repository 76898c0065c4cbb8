//! The pictures of a measurement, as SVG that takes its colours from the page.

use std::fmt::Write;

use super::{escaped, ms};
use crate::trial::{Outcome, StagesUs};

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 200.0;
/// Room for words: left of the picture and below it.
const LEFT: f64 = 8.0;
const BELOW: f64 = 24.0;
const ABOVE: f64 = 20.0;
/// As wide as words below it may be, also on a narrow page, where they are larger.
pub(super) const LABEL: f64 = 60.0;
/// Colours of the page.
const COLOURS: usize = 5;

/// Where a figure lies in a picture.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn at(self, figure: f64) -> f64 {
        let part = (figure - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE);
        self.from + part * (self.to - self.from)
    }
}

/// Times that a picture names: one, two, five, and ten times as much.
fn times() -> impl DoubleEndedIterator<Item = (u64, u64)> + Clone {
    (0..8).flat_map(|decade| [1, 2, 5].map(|step| (step, step * 10u64.pow(decade))))
}

/// How many requests took at most so long: a line for each system, time by powers of ten.
pub(super) fn latency(outcomes: &[&Outcome]) -> String {
    let spans = || outcomes.iter().flat_map(|outcome| &outcome.histogram_us);
    let shortest = spans().map(|(us, _)| *us).min().unwrap_or(1);
    let longest = spans().map(|(us, _)| *us).max().unwrap_or(10);
    // From one that is named to another, so that there are two at least.
    let mut named = times().map(|(_, us)| us);
    let low = named.clone().rfind(|us| *us < shortest).unwrap_or(1) as f64;
    let high = named.find(|us| *us >= longest).unwrap_or(longest) as f64;
    let x = Scale { low: low.log10(), high: high.log10(), from: LEFT, to: WIDTH - LEFT };
    let y = Scale { low: 0.0, high: 1.0, from: HEIGHT - BELOW, to: ABOVE };
    let mut svg = begun("How many of 100 requests took at most so long");
    // Where the next word finds room.
    let mut free = 0.0;
    for (step, us) in times() {
        let at = x.at((us as f64).log10());
        if us as f64 >= low && us as f64 <= high {
            let _ = write!(svg, "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" ");
            let _ = write!(svg, "y1=\"{ABOVE}\" y2=\"{:.1}\"/>", HEIGHT - BELOW);
            // What would end beyond the edge ends at its line.
            let (anchor, from) =
                if at > WIDTH - LABEL { ("end", at - LABEL) } else { ("start", at) };
            if (step == 1 || high / low < 100.0) && from >= free {
                let (label, below) = (ms(us), HEIGHT - 8.0);
                let _ = write!(svg, "<text x=\"{at:.1}\" y=\"{below}\" ");
                let _ = write!(svg, "text-anchor=\"{anchor}\">{label}</text>");
                free = from + LABEL;
            }
        }
    }
    for (part, label) in [(0.5, "50 of 100"), (0.9, "90"), (0.99, "99")] {
        level(&mut svg, y.at(part), label);
    }
    for (number, outcome) in outcomes.iter().enumerate() {
        let all: u64 = outcome.histogram_us.iter().map(|(_, count)| count).sum();
        let mut below = 0;
        let points = outcome.histogram_us.iter().map(|(us, count)| {
            below += count;
            (x.at((*us as f64).log10()), y.at(below as f64 / all.max(1) as f64))
        });
        line(&mut svg, points, number);
    }
    svg + "</svg>" + &key(outcomes.iter().map(|outcome| outcome.target.as_str()))
}

/// Requests a second of every round.
pub(super) fn rounds(outcomes: &[&Outcome]) -> String {
    let all = || outcomes.iter().flat_map(|outcome| &outcome.rounds);
    let most = all().map(|round| round.ops_per_s).fold(1.0, f64::max);
    let longest = outcomes.iter().map(|outcome| outcome.rounds.len()).max().unwrap_or(1);
    let last = longest.saturating_sub(1).max(1) as f64;
    let x = Scale { low: 0.0, high: last, from: LEFT, to: WIDTH - LEFT };
    let y = Scale { low: 0.0, high: most, from: HEIGHT - BELOW, to: ABOVE };
    let mut svg = begun("Requests a second, round by round");
    for part in [0.5, 1.0] {
        level(&mut svg, y.at(most * part), &format!("{:.0}/s", most * part));
    }
    level(&mut svg, y.at(0.0), "");
    for (number, outcome) in outcomes.iter().enumerate() {
        let rounds = outcome.rounds.iter().enumerate();
        line(&mut svg, rounds.map(|(n, round)| (x.at(n as f64), y.at(round.ops_per_s))), number);
    }
    svg + "</svg>" + &key(outcomes.iter().map(|outcome| outcome.target.as_str()))
}

/// One bar, cut into the stages.
pub(super) fn stages(stages: &StagesUs) -> String {
    let StagesUs { client_net, quorum_net, sync, queue, synod } = *stages;
    let parts = [
        ("client's network", client_net),
        ("quorum's network", quorum_net),
        ("sync", sync),
        ("queue", queue),
        ("the rest", synod),
    ];
    let all: u64 = parts.iter().map(|(_, us)| us).sum();
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} 32\" role=\"img\" aria-label=\"Stages of the median request\">"
    );
    let mut from = 0.0;
    for (number, (_, us)) in parts.iter().enumerate() {
        let wide = WIDTH * *us as f64 / all.max(1) as f64;
        let _ = write!(svg, "<rect x=\"{from:.1}\" y=\"4\" width=\"{wide:.1}\" height=\"24\" ");
        let _ = write!(svg, "fill=\"var(--c{number})\"/>");
        from += wide;
    }
    let told: Vec<_> = parts.iter().map(|(name, us)| format!("{name} {}", ms(*us))).collect();
    svg + "</svg>" + &key(told.iter().map(String::as_str))
}

fn begun(label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">")
}

fn level(svg: &mut String, at: f64, label: &str) {
    let (from, to) = (LEFT, WIDTH - LEFT);
    let _ = write!(svg, "<line class=\"axis\" x1=\"{from}\" x2=\"{to}\" y1=\"{at:.1}\" ");
    let _ = write!(svg, "y2=\"{at:.1}\"/>");
    let _ = write!(svg, "<text x=\"{from}\" y=\"{:.1}\">{label}</text>", at - 4.0);
}

fn line(svg: &mut String, points: impl Iterator<Item = (f64, f64)>, number: usize) {
    let points: Vec<_> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let colour = number % COLOURS;
    let _ = write!(svg, "<polyline fill=\"none\" stroke=\"var(--c{colour})\" stroke-width=\"2\" ");
    let _ = write!(svg, "points=\"{}\"/>", points.join(" "));
}

fn key<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = "<div class=\"key\">".to_owned();
    for (number, name) in names.enumerate() {
        let (colour, name) = (number % COLOURS, escaped(name));
        let _ = write!(text, "<span><i style=\"background:var(--c{colour})\"></i>{name}</span>");
    }
    text + "</div>"
}
