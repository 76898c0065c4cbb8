//! The HTTP door with certificates: who is let in, what each may do, and what is whose.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use synod_integration::{Cluster, Options, lacking, run};

/// One node whose door asks for certificates, and callers who have some.
struct Guarded {
    cluster: Cluster,
}

impl Guarded {
    fn start() -> Guarded {
        let mut cluster = Cluster::init(&Options { nodes: 1, participants: vec!["east"] });
        let path = cluster.config("n1");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("plain_role = \"write\""));
        std::fs::write(&path, text.replace("plain_role = \"write\"", "tls = true")).unwrap();
        let certs = cluster.path("c/certs").display().to_string();
        for (name, role) in [("alice", "write"), ("bob", "write"), ("reader", "read")] {
            let _ = run(&["cert", "issue", name, &certs, "--role", role]).expect(0);
        }
        cluster.start_node("n1");
        cluster.await_leader();
        let guarded = Guarded { cluster };
        guarded.cluster.eventually("the door reaches the cluster", || {
            guarded.asks("alice", "GET", "/v1/kv", &[]).0 == 200
        });
        guarded
    }

    /// The status and the document of an answer; status 0 when there was none.
    fn asks(&self, who: &str, method: &str, path: &str, rest: &[&str]) -> (u16, Value) {
        self.asks_with(&self.cluster.path("c/certs"), Some(who), method, path, rest)
    }

    fn asks_with(
        &self,
        certs: &Path,
        who: Option<&str>,
        method: &str,
        path: &str,
        rest: &[&str],
    ) -> (u16, Value) {
        let (host, port) = self.cluster.door("n1").rsplit_once(':').unwrap();
        let ca = self.cluster.path("c/certs/ca.crt").display().to_string();
        let mut curl = Command::new("curl");
        curl.args(["-s", "-X", method, "-w", "\n%{http_code}", "--cacert", &ca]);
        curl.args(["--connect-to", &format!("localhost:{port}:{host}:{port}")]);
        if let Some(who) = who {
            let file = |end: &str| certs.join(format!("{who}.{end}")).display().to_string();
            curl.args(["--cert", &file("crt"), "--key", &file("key")]);
        }
        let output = curl.args(rest).arg(format!("https://localhost:{port}{path}")).output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn sends(&self, who: &str, path: &str, document: &Value) -> (u16, Value) {
        let document = document.to_string();
        self.asks(who, "POST", path, &["-H", "Content-Type: application/json", "-d", &document])
    }
}

/// The role in the certificate is what its holder may; and who shows none of this cluster's is not
/// heard at all.
#[test]
fn a_certificate_says_who_comes_and_what_may_be_done() {
    if lacking("curl", "--version") {
        return;
    }
    let guarded = Guarded::start();
    let put = ["-H", "Content-Type: application/octet-stream", "-d", "v"];
    for (who, method, path, rest, expected) in [
        ("alice", "PUT", "/v1/kv/a", &put[..], 200),
        ("reader", "PUT", "/v1/kv/a", &put, 403),
        ("reader", "GET", "/v1/status", &[], 200),
        ("east", "GET", "/v1/status", &[], 403),
        ("n1", "GET", "/v1/status", &[], 403),
    ] {
        let (status, said) = guarded.asks(who, method, path, rest);
        assert_eq!(status, expected, "{who} {method} {path}: {said}");
    }
    let force = json!({ "reason": "stuck" });
    assert_eq!(guarded.sends("alice", "/v1/locks/l:break", &force).0, 403);
    assert_eq!(guarded.sends("client", "/v1/locks/l:break", &force).0, 200);

    let other = Cluster::init(&Options { nodes: 1, ..Options::default() });
    let strange = other.path("c/certs");
    for (certs, who) in [(strange.as_path(), Some("client")), (strange.as_path(), None)] {
        let (status, said) = guarded.asks_with(certs, who, "GET", "/v1/status", &[]);
        assert_eq!(status, 0, "{who:?}: {said}");
    }
    let mut plain = synod_integration::Http::open(guarded.cluster.door("n1"));
    plain.send(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // What comes is no HTTP: it is an alert, or the end.
    assert!(plain.line().is_none_or(|line| !line.starts_with("HTTP")));
    assert_eq!(guarded.asks("alice", "GET", "/v1/kv/a", &[]).0, 200);
}

/// To the cluster all callers are one client; the door tells them apart.
#[test]
fn what_was_granted_to_one_caller_no_other_renews_or_gives_back() {
    if lacking("curl", "--version") {
        return;
    }
    let guarded = Guarded::start();
    let (status, held) = guarded.sends("alice", "/v1/locks/l", &json!({ "ttl_ms": 60_000 }));
    assert_eq!(status, 200, "{held}");
    let lease = held["lease"].as_u64().unwrap();
    let renew = format!("/v1/leases/{lease}:renew");
    assert_eq!(guarded.asks("bob", "POST", &renew, &[]).0, 403);
    assert_eq!(guarded.asks("alice", "POST", &renew, &[]).0, 200);
    assert_eq!(guarded.sends("bob", "/v1/locks/m", &json!({ "lease": lease })).0, 403);
    for path in [format!("/v1/locks/l?lease={lease}"), format!("/v1/leases/{lease}")] {
        assert_eq!(guarded.asks("bob", "DELETE", &path, &[]).0, 403, "{path}");
    }
    let (_, lock) = guarded.asks("bob", "GET", "/v1/locks/l", &[]);
    assert_eq!(lock["holder"]["owner"], "door/alice");

    let claim = json!({ "owner": "17" });
    assert_eq!(guarded.sends("alice", "/v1/claims/user", &claim).0, 200);
    assert_eq!(guarded.sends("bob", "/v1/claims/user", &claim).0, 409);
    assert_eq!(guarded.asks("bob", "DELETE", "/v1/claims/user?owner=17", &[]).0, 409);
    assert_eq!(guarded.asks("alice", "DELETE", "/v1/claims/user?owner=17", &[]).0, 200);

    // A key is its caller's own.
    let (path, key) = ("/v1/counters/n:add", ["-H", "Idempotency-Key: k"]);
    let add = ["-H", "Content-Type: application/json", "-d", "{}", key[0], key[1]];
    assert_eq!(guarded.asks("alice", "POST", path, &add).1["value"], "1");
    assert_eq!(guarded.asks("bob", "POST", path, &add).1["value"], "2");
    assert_eq!(guarded.asks("alice", "POST", path, &add).1["value"], "1");
    assert_eq!(guarded.asks("alice", "DELETE", &format!("/v1/leases/{lease}"), &[]).0, 200);
}
