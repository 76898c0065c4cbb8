//! The files that `synod init` writes, and the demo changes.

use std::fmt::Write as _;

use super::{Plan, Voter};

/// One node's configuration, with the keys that have no default.
pub(crate) fn node_toml(plan: &Plan, voter: &Voter) -> String {
    let mut text = format!(
        "# Every key with its default is in config/node.toml of the source.\n\
         cluster = {:?}\ncluster_id = \"{:016x}\"\n\n\
         [node]\nname = {:?}\nid = {}\ndata = {:?}\nlisten = {:?}\n\n\
         [http]\nlisten = {:?}\n\n\
         [tls]\nca = \"certs/ca.crt\"\ncert = \"certs/{}.crt\"\nkey = \"certs/{}.key\"\n",
        plan.cluster,
        plan.cluster_id,
        voter.name,
        voter.id,
        voter.name,
        voter.listen,
        voter.http,
        voter.name,
        voter.name,
    );
    if let Some(door) = &voter.door {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n# Programs in any language. Whoever can log in to this machine may write;\n\
             # with tls = true instead of plain_role everybody shows a certificate.\n\
             [door]\nlisten = {door:?}\nplain_role = \"write\"\n\
             cert = \"certs/{name}-door.crt\"\nkey = \"certs/{name}-door.key\"\n",
            name = voter.name
        );
    }
    for peer in &plan.voters {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[peer]]\nid = {}\nname = {:?}\naddress = {:?}\n",
            peer.id, peer.name, peer.listen
        );
    }
    text
}

/// The configuration of a client whose certificate is `leaf`.
pub(crate) fn client_toml(plan: &Plan, leaf: &str) -> String {
    let mut text = format!(
        "# Every key with its default is in config/client.toml of the source.\n\
         cluster = {:?}\ncluster_id = \"{:016x}\"\n\n\
         [tls]\nca = \"certs/ca.crt\"\ncert = \"certs/{leaf}.crt\"\nkey = \"certs/{leaf}.key\"\n",
        plan.cluster, plan.cluster_id,
    );
    for voter in &plan.voters {
        let _ =
            write!(text, "\n[[endpoint]]\nname = {:?}\naddress = {:?}\n", voter.name, voter.listen);
    }
    text
}
