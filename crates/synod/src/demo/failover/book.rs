//! A file of numbered rows, each under the token of whoever wrote it, and the program that writes
//! them: what is supervised where there is no database.
//!
//! The file cannot check a token, so two writers at once would show in it.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::rows::{Row, Rows, Stored};
use crate::{
    exit::{Code, Failure},
    print,
};

/// The first argument of such a process. It is no verb for anybody to type.
pub(crate) const WRITER: &str = "demo-writer";
/// Between two rows.
const PACE: Duration = Duration::from_millis(5);

/// Writes rows to the file that is named, from where it ends, until it is ended itself. Each is on
/// the disk before it is acknowledged by a line.
pub(crate) fn write() -> Result<(), Failure> {
    let wrong = || Failure::new(Code::Bug, "SYN-BUG-003", "the demo's writer is not told enough");
    let path = std::env::args_os().nth(2).ok_or_else(wrong)?;
    let token = std::env::var("SYNOD_FENCING_TOKEN").ok().and_then(|token| token.parse().ok());
    let token: u64 = token.ok_or_else(wrong)?;
    let path = Path::new(&path);
    let failed = |error| failed(path, &error);
    let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
    let last = read(path)?.last().map_or(0, |row| row.number);
    for number in last + 1.. {
        let line = format!("{number} {token}\n");
        // In one piece: whoever is killed in between leaves a whole row or none.
        file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
        print::lines(&line)?;
        thread::sleep(PACE);
    }
    Ok(())
}

/// Takes down what a writer acknowledges, until it says nothing more.
pub(super) fn attend(mut lines: mpsc::UnboundedReceiver<String>, rows: Rows) {
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            if let Some(Stored { number, token }) = row(&line) {
                let now = Instant::now();
                rows.enter(Row { number, token, began: now, ended: now, kept: true });
            }
        }
    });
}

/// All rows, in the order in which they were written.
pub(super) fn read(path: &Path) -> Result<Vec<Stored>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
    // What comes after the last end of a line is being written.
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    Ok(whole.lines().filter_map(row).collect())
}

fn row(line: &str) -> Option<Stored> {
    let (number, token) = line.split_once(' ')?;
    Some(Stored { number: number.parse().ok()?, token: token.parse().ok()? })
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Code::Machine, "SYN-DEMO-002", format!("{}: {error}", path.display()))
}

/// What cannot be if one wrote at a time: tokens never fall, and numbers go on by one.
pub(super) fn disorder(rows: &[Stored]) -> Vec<String> {
    let first = rows.first().filter(|first| first.number != 1);
    let first = first.map(|first| format!("the file begins with row {}", first.number));
    let wrong = rows.windows(2).filter_map(|pair| {
        let [before, after] = pair else { return None };
        if after.token < before.token {
            let (number, early, late) = (after.number, after.token, before.token);
            return Some(format!("row {number} was written under token {early}, after {late}"));
        }
        let next = before.number + 1;
        (after.number != next).then(|| format!("row {} stands where {next} belongs", after.number))
    });
    first.into_iter().chain(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> String {
        disorder(&text.lines().filter_map(row).collect::<Vec<_>>()).join("; ")
    }

    #[test]
    fn one_writer_at_a_time_leaves_rows_in_order() {
        assert_eq!(complaints("1 5\n2 5\n3 9\n4 9\n"), "");
    }

    /// What the demo would show if two were primary at once.
    #[test]
    fn a_smaller_token_after_a_larger_is_a_second_writer() {
        assert_eq!(complaints("1 5\n2 9\n3 5\n"), "row 3 was written under token 5, after 9");
    }

    #[test]
    fn a_row_that_is_missing_or_twice_there_is_seen() {
        assert_eq!(complaints("1 5\n3 5\n"), "row 3 stands where 2 belongs");
        assert_eq!(complaints("1 5\n1 5\n"), "row 1 stands where 2 belongs");
        assert_eq!(complaints("2 5\n"), "the file begins with row 2");
    }
}
