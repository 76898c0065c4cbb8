//! Which of the bytes that come are header lines, and whether these can be read in one way only.

/// As much of a line as tells how long the body is.
const LINE_BYTES_KEPT: usize = 64;

/// Follows a connection, request by request. What it does not understand hyper refuses; what it
/// refuses hyper would understand, and somebody on the way might understand otherwise.
#[derive(Debug, Default)]
pub(crate) struct Heading {
    stage: Stage,
    /// The beginning of the present line.
    line: Vec<u8>,
    line_bytes: usize,
    after_return: bool,
    /// Whether the request line is over.
    begun: bool,
    length: Length,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Lines,
    /// So many bytes that are no lines.
    Body(u64),
    /// Nothing more of this connection is understood here, or by anybody.
    Rest,
}

#[derive(Clone, Copy, Debug, Default)]
enum Length {
    #[default]
    None,
    Bytes(u64),
    /// It is told in a way in which the door takes no bodies.
    Otherwise,
}

impl Heading {
    /// Takes note of what came.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let Some(&byte) = bytes.first() {
            match self.stage {
                Stage::Rest => return Ok(()),
                Stage::Body(left) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    bytes = &bytes[taken..];
                    let left = left - taken as u64;
                    self.stage = if left == 0 { Stage::Lines } else { Stage::Body(left) };
                }
                Stage::Lines => {
                    bytes = &bytes[1..];
                    self.hear(byte)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a request has begun whose header is not over.
    pub(crate) fn is_midway(&self) -> bool {
        matches!(self.stage, Stage::Lines) && (self.begun || self.line_bytes > 0)
    }

    fn hear(&mut self, byte: u8) -> Result<(), &'static str> {
        if byte == b'\n' {
            // RFC 9112 §2.2: a recipient may take it for the end of a line.
            if !self.after_return {
                return Err("a line ends in a line feed alone");
            }
            self.after_return = false;
            return self.end_line();
        }
        if self.after_return {
            return Err("a carriage return stands within a line");
        }
        self.after_return = byte == b'\r';
        if !self.after_return {
            self.line_bytes += 1;
            if self.line.len() < LINE_BYTES_KEPT {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), &'static str> {
        let line = std::mem::take(&mut self.line);
        let whole = std::mem::take(&mut self.line_bytes) == line.len();
        match (line.first(), self.begun) {
            // Empty lines before a request are nothing (RFC 9112 §2.2).
            (None, false) => {}
            (None, true) => self.end_lines(),
            (Some(_), false) => self.begun = true,
            // RFC 9112 §5.2: a line that goes on in the next.
            (Some(b' ' | b'\t'), true) => return Err("a header goes on in the next line"),
            (Some(_), true) => self.header(&line, whole),
        }
        Ok(())
    }

    fn header(&mut self, line: &[u8], whole: bool) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.length = Length::Otherwise;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let text = std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
            self.length = match (text.trim().parse(), self.length) {
                (Ok(bytes), Length::None) if whole => Length::Bytes(bytes),
                _ => Length::Otherwise,
            };
        }
    }

    fn end_lines(&mut self) {
        self.begun = false;
        self.stage = match std::mem::take(&mut self.length) {
            Length::None | Length::Bytes(0) => Stage::Lines,
            Length::Bytes(bytes) => Stage::Body(bytes),
            Length::Otherwise => Stage::Rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same whether it comes in one piece or byte by byte.
    fn follow(text: &str) -> Result<(), &'static str> {
        let whole = Heading::default().follow(text.as_bytes());
        let mut slow = Heading::default();
        let pieces = text.as_bytes().chunks(1).try_for_each(|byte| slow.follow(byte));
        assert_eq!(whole, pieces, "{text:?}");
        whole
    }

    #[test]
    fn what_honest_callers_send_is_let_through() {
        let get = "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n";
        let put = "PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\n \r\n";
        for text in [get.to_owned(), format!("\r\n{get}{get}"), format!("{put}{get}{put}{get}")] {
            assert_eq!(follow(&text), Ok(()), "{text:?}");
        }
    }

    /// RFC 9112 §2.2 and §5.2: what a server may be lenient about, somebody on the way may not be.
    #[test]
    fn what_can_be_read_in_two_ways_is_refused_in_every_request_of_a_connection() {
        let put = "PUT /v1/kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\n\n";
        for (text, why) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", "line feed alone"),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", "line feed alone"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", "line feed alone"),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "carriage return"),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "next line"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n", "next line"),
        ] {
            for before in ["", put] {
                let text = format!("{before}{text}");
                assert!(follow(&text).is_err_and(|said| said.contains(why)), "{text:?}");
            }
        }
    }

    /// Where a body ends is told in one way only; what is behind any other is nobody's request.
    #[test]
    fn a_body_of_no_certain_length_is_the_end_of_what_is_understood() {
        for header in [
            "Transfer-Encoding: chunked",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Content-Length: five",
            "Content-Length: 99999999999999999999999999999999999999999999999999999999999999999",
        ] {
            let text = format!("PUT / HTTP/1.1\r\n{header}\r\n\r\n\n\n\n");
            let mut heading = Heading::default();
            assert_eq!(heading.follow(text.as_bytes()), Ok(()), "{text:?}");
            assert!(matches!(heading.stage, Stage::Rest), "{text:?}");
        }
    }
}
