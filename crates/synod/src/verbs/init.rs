//! `synod init`: everything a new cluster needs, made in one go or not at all.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use synod_client::net::{Authority, Identity, Name, Role, Who};

use crate::{
    cli::InitArgs,
    exit::{Code, Failure},
    print,
};

/// Days that the certificates of a new cluster last.
const CERTIFICATE_DAYS: u32 = 90;
/// The health page of node i listens this far above its mesh port.
const HTTP_PORT_OFFSET: u16 = 100;

/// One voter of the cluster to be made.
#[derive(Clone, Debug)]
pub(crate) struct Voter {
    pub(crate) id: u16,
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) listen: String,
    /// Where its health page listens.
    pub(crate) http: String,
}

/// A cluster to be made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) cluster: String,
    pub(crate) cluster_id: u64,
    pub(crate) voters: Vec<Voter>,
    pub(crate) participants: Vec<String>,
}

/// Runs the verb.
pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    let plan = plan(args)?;
    build(&args.dir, &plan)?;
    let dir = args.dir.display();
    let first = &plan.voters[0].name;
    print::lines(&format!(
        "cluster {} with {} nodes is in {dir}\n\
         start every node:   synod start -c {dir}/{first}.toml\n\
         ask it something:   synod status -c {dir}/client.toml\n\
         keep safe, away from the nodes: {dir}/authority/ca.key signs new identities",
        plan.cluster,
        plan.voters.len(),
    ))
}

fn plan(args: &InitArgs) -> Result<Plan, Failure> {
    let usage = |what: String| Failure::new(Code::Usage, "SYN-INIT-001", what);
    if !matches!(args.nodes, 1 | 3 | 5 | 7) {
        return Err(usage(format!("a cluster has 1, 3, 5 or 7 nodes, not {}", args.nodes))
            .hint("an even number tolerates no more failures than the odd one below it"));
    }
    name(&args.name)?;
    for participant in &args.participants {
        name(participant)?;
    }
    let port = |offset: u16, i: u16| {
        args.port.checked_add(offset).and_then(|base| base.checked_add(i)).ok_or_else(|| {
            usage(format!("--port {} leaves no room for {} nodes", args.port, args.nodes))
        })
    };
    let voters = (0..args.nodes).map(|i| {
        Ok(Voter {
            id: i + 1,
            name: format!("n{}", i + 1),
            listen: format!("127.0.0.1:{}", port(0, i)?),
            http: format!("127.0.0.1:{}", port(HTTP_PORT_OFFSET, i)?),
        })
    });
    Ok(Plan {
        cluster: args.name.clone(),
        cluster_id: fastrand::u64(1..),
        voters: voters.collect::<Result<_, Failure>>()?,
        participants: args.participants.clone(),
    })
}

/// Makes the cluster's directory. It is built beside its place and moved there when it is whole.
pub(crate) fn build(dir: &Path, plan: &Plan) -> Result<(), Failure> {
    let occupied = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if occupied || dir.is_file() {
        return Err(Failure::new(
            Code::Usage,
            "SYN-INIT-002",
            format!("{} is not empty; nothing was changed", dir.display()),
        )
        .hint(
            "choose another directory, or remove the cluster there by hand if it is not needed",
        ));
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|error| io_failure(parent, error))?;
    let workshop = parent.join(format!(".synod-init-{:016x}", fastrand::u64(..)));
    let made = fill(&workshop, plan)
        .and_then(|()| fs::rename(&workshop, dir).map_err(|error| io_failure(dir, error)));
    if made.is_err() {
        // What was half made is of no use to anybody; that it is gone matters less than the error.
        let _ = fs::remove_dir_all(&workshop);
    }
    made
}

fn fill(dir: &Path, plan: &Plan) -> Result<(), Failure> {
    let certs = dir.join("certs");
    let authority_dir = dir.join("authority");
    for folder in [dir, &certs, &authority_dir] {
        private_dir(folder)?;
    }
    let cluster = name(&plan.cluster)?;
    let authority = Authority::create(&cluster).map_err(cert_failure)?;
    authority.save(&certs.join("ca.crt"), &authority_dir.join("ca.key")).map_err(cert_failure)?;
    let issue = |leaf: &str, who: Who| {
        let identity = Identity { cluster: cluster.clone(), who };
        authority
            .issue(&identity, CERTIFICATE_DAYS, &cert_path(&certs, leaf), &key_path(&certs, leaf))
            .map_err(cert_failure)
    };
    for voter in &plan.voters {
        issue(&voter.name, Who::Node(name(&voter.name)?))?;
        let path = dir.join(format!("{}.toml", voter.name));
        write(&path, &node_toml(plan, voter))?;
    }
    issue("client", Who::Client { name: name("client")?, role: Role::Admin })?;
    write(&dir.join("client.toml"), &client_toml(plan, "client"))?;
    for participant in &plan.participants {
        issue(participant, Who::Client { name: name(participant)?, role: Role::Participant })?;
        let path = dir.join(format!("{participant}.toml"));
        write(&path, &client_toml(plan, participant))?;
    }
    for voter in &plan.voters {
        let path = dir.join(format!("{}.toml", voter.name));
        let config = synod_node::Config::load(&path)
            .map_err(|error| Failure::new(Code::Bug, "SYN-BUG-002", error))?;
        synod_node::format(&config)
            .map_err(|error| Failure::new(Code::Usage, "SYN-INIT-003", error))?;
    }
    Ok(())
}

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

fn cert_path(certs: &Path, leaf: &str) -> PathBuf {
    certs.join(format!("{leaf}.crt"))
}

fn key_path(certs: &Path, leaf: &str) -> PathBuf {
    certs.join(format!("{leaf}.key"))
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| Failure::new(Code::Usage, "SYN-INIT-004", error))
}

fn private_dir(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(path)
        .map_err(|error| io_failure(path, error))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| io_failure(path, error))
}

fn io_failure(path: &Path, error: io::Error) -> Failure {
    Failure::new(Code::Usage, "SYN-INIT-005", format!("{}: {error}", path.display()))
}

fn cert_failure(error: synod_client::net::AuthorityError) -> Failure {
    Failure::new(Code::Usage, "SYN-INIT-006", error)
}
