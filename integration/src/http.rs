use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// How long an answer may take. Far more than it ever needs: a test never asserts speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection to a door, byte for byte as a test wants it.
#[derive(Debug)]
pub struct Http {
    host: String,
    stream: BufReader<TcpStream>,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, if the status is as expected.
    #[must_use]
    pub fn expect(self, status: u16) -> Answered {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text} {:?}", self.headers);
        self
    }
}

impl Http {
    /// Connects.
    pub fn open(address: &str) -> Http {
        let stream = TcpStream::connect(address).expect("a door listens there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a span above zero");
        Http { host: address.to_owned(), stream: BufReader::new(stream) }
    }

    /// Where it is connected to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request, with a host and a length, and reads the answer.
    pub fn ask(&mut self, ask: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
        let mut head = format!("{ask} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send(&[head.as_bytes(), body].concat());
        self.answer().expect("the door answers")
    }

    /// Sends a JSON document.
    pub fn json(&mut self, ask: &str, document: &Value) -> Answered {
        let body = document.to_string();
        self.ask(ask, &[("Content-Type", "application/json")], body.as_bytes())
    }

    /// Sends bytes as they are. That nobody takes them any more is seen by what is answered.
    pub fn send(&mut self, bytes: &[u8]) {
        let _gone = self.stream.get_mut().write_all(bytes);
    }

    /// Reads an answer; `None` when the connection has ended instead.
    pub fn answer(&mut self) -> Option<Answered> {
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{first:?} is no status"));
        let mut headers = BTreeMap::new();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            if let Some((name, value)) = line.split_once(':') {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).ok()?;
        Some(Answered { status, headers, body })
    }

    /// A line of what comes, without its end; `None` when nothing comes any more.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// The next server-sent event: its name, its id and its data.
    pub fn event(&mut self) -> Option<(String, Option<u64>, Value)> {
        let (mut name, mut id, mut data) = (String::new(), None, Value::Null);
        loop {
            let line = self.line()?;
            // What frames the chunks of a stream is no field of an event.
            match line.split_once(": ") {
                Some(("event", text)) => name = text.to_owned(),
                Some(("id", text)) => id = text.parse().ok(),
                Some(("data", text)) => data = serde_json::from_str(text).ok()?,
                Some(_) => {}
                None if line.is_empty() && !name.is_empty() => return Some((name, id, data)),
                None => {}
            }
        }
    }
}
