//! HAProxy before the pair: it asks every node of the cluster who the incumbent is, and sends
//! clients there.

use std::{
    fmt::Write as _,
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use crate::pair::{Pair, SERVERS};

/// A running proxy.
pub(crate) struct Proxy {
    haproxy: Child,
    pub(crate) address: String,
}

impl Proxy {
    /// In front of the pair; `doors` are the HTTP addresses of the cluster's nodes.
    pub(crate) fn start(pair: &Pair, doors: &[String]) -> Proxy {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let path = pair.cluster.path("haproxy.cfg");
        fs::write(&path, configuration(pair, &address, doors)).unwrap();
        let log = fs::File::create(pair.cluster.path("haproxy.log")).unwrap();
        let haproxy = Command::new(&pair.programs.haproxy)
            .arg("-db")
            .arg("-f")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Proxy { haproxy, address }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = (self.haproxy.kill(), self.haproxy.wait());
    }
}

/// A backend for each server, up while some node says that it is the incumbent.
fn configuration(pair: &Pair, address: &str, doors: &[String]) -> String {
    let mut text = format!(
        "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1h\n  timeout server 1h\n\
         frontend catalog\n  bind {address}\n"
    );
    for id in SERVERS {
        writeln!(text, "  use_backend {id} if {{ nbsrv({id}) ge 1 }}").unwrap();
    }
    for (place, id) in SERVERS.iter().enumerate() {
        write!(
            text,
            "backend {id}\n  option httpchk GET /v1/elections/catalog%2Fprimary/is/{id}\n  \
             default-server check inter 100ms fall 1 rise 1 on-marked-down shutdown-sessions\n"
        )
        .unwrap();
        for (node, door) in doors.iter().enumerate() {
            let (host, port) = door.rsplit_once(':').unwrap();
            let server = pair.address(place);
            writeln!(text, "  server by-n{} {server} addr {host} port {port}", node + 1).unwrap();
        }
    }
    text
}
