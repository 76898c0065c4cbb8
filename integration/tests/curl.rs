//! docs/http.md: every example is run as it stands there, and says what stands there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use synod_integration::{Cluster, Options, lacking};

/// One command of the page, and what it printed there.
struct Example {
    command: String,
    printed: String,
}

/// The commands of all `console` blocks, in their order.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in page.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => {
                    let (command, printed) = (command.to_owned(), String::new());
                    examples.push(Example { command, printed });
                }
                None => {
                    let last = examples.last_mut().expect("a block begins with a command");
                    last.printed.push_str(line);
                    last.printed.push('\n');
                }
            }
        }
    }
    examples
}

/// Whether `printed` is `shown`, in which `…` stands for anything.
fn fits(printed: &str, shown: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = pieces.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        let found = if pieces.peek().is_none() { rest.rfind(piece) } else { rest.find(piece) };
        match found {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn every_example_of_the_page_says_what_the_page_says() {
    if lacking("curl", "--version") {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
    let page = fs::read_to_string(path).unwrap();
    let examples = examples(&page);
    assert!(examples.len() > 20, "{} examples only", examples.len());
    let mut cluster = Cluster::start(&Options { nodes: 1, participants: vec!["east", "west"] });
    cluster.start_shard("east");
    cluster.start_shard("west");
    let door = cluster.door("n1");
    cluster.eventually("the door reaches the cluster", || {
        let asked = Command::new("curl").args(["-sf", &format!("http://{door}/v1/kv")]).output();
        asked.unwrap().status.success()
    });
    for Example { command, printed } in examples {
        let here = command.replace("127.0.0.1:7410", door);
        let output = Command::new("sh").args(["-c", &here]).output().unwrap();
        let mut said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        // A value ends where it ends; what is shown ends with its line.
        if !said.ends_with('\n') {
            said.push('\n');
        }
        let shown = printed.replace("127.0.0.1:7410", door);
        let (said, shown) = (said.trim_end(), shown.trim_end());
        assert!(fits(said, shown), "$ {command}\nsays\n{said}\nand the page\n{shown}");
    }
}

#[test]
fn what_stands_for_anything_stands_for_anything_and_the_rest_for_itself() {
    assert!(fits("a1b22c", "a…b…c") && fits("ab", "a…b") && fits("", "") && fits("x", "…"));
    assert!(fits("aXbXb", "a…b") && fits("abc", "abc"));
    assert!(!fits("a1b", "a…c") && !fits("abcd", "abc") && !fits("xabc", "a…c"));
    assert!(!fits("abX", "a…b"));
}
