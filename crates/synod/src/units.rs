//! Numbers for people: with a unit, and no longer than they are worth.

use std::time::Duration;

/// `0.44 ms`, `7.8 ms`, `212 ms`, `2.5 s`, `45 s`, `12 min`, `5 h 07 min`, `3 d 04 h`.
pub(crate) fn span(span: Duration) -> String {
    let (us, s) = (span.as_micros(), span.as_secs());
    match s {
        0 if us < 1_000 => format!("{:.2} ms", span.as_secs_f64() * 1e3),
        0 if us < 10_000 => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        0 => format!("{} ms", us / 1_000),
        1..10 => format!("{:.1} s", span.as_secs_f64()),
        10..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h {:02} min", s / 3_600, s / 60 % 60),
        _ => format!("{} d {:02} h", s / 86_400, s / 3_600 % 24),
    }
}

/// As [`span`], of microseconds.
pub(crate) fn span_us(us: u64) -> String {
    span(Duration::from_micros(us))
}

/// `512 B`, `72 KiB`, `1.2 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let (mut size, mut unit) = (bytes as f64 / 1_024.0, 0);
    while size >= 1_024.0 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1_024.0, unit + 1);
    }
    let digits = usize::from(size < 10.0);
    format!("{size:.digits$} {}", UNITS[unit])
}

/// `48 211 903`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_people_think_in() {
        let cases = [
            (0, "0.00 ms"),
            (440, "0.44 ms"),
            (7_840, "7.8 ms"),
            (212_900, "212 ms"),
            (2_528_000, "2.5 s"),
            (45_000_000, "45 s"),
            (720_000_000, "12 min"),
            (18_420_000_000, "5 h 07 min"),
            (273_600_000_000, "3 d 04 h"),
        ];
        for (us, told) in cases {
            assert_eq!(span_us(us), told);
        }
    }

    #[test]
    fn bytes_and_counts_are_readable_at_any_size() {
        let sizes = [512, 73_728, 5_000_000, 1_288_490_189, u64::MAX].map(bytes);
        assert_eq!(sizes, ["512 B", "72 KiB", "4.8 MiB", "1.2 GiB", "16777216 TiB"]);
        assert_eq!([0, 999, 1_000, 48_211_903].map(grouped), ["0", "999", "1 000", "48 211 903"]);
    }
}
