//! A UDP relay in front of one address: delay, jitter, loss, damage and a cut, changed while it
//! runs. It needs no rights and no kernel module, so demonstration, benchmarks and tests can all
//! have a WAN.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep_until},
};

/// The largest UDP payload there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Callers that one relay carries for; past it the one silent for longest is forgotten.
const CALLERS_MAX: usize = 1_024;
/// Datagrams on their way in one direction of one caller; a fuller way loses them, as a router's
/// queue does.
const WAITING_MAX: usize = 16_384;

/// How the way is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Every datagram is late by this, each way.
    pub delay: Duration,
    /// And by up to this more, by chance; so they overtake each other.
    pub jitter: Duration,
    /// This part of datagrams is lost, from 0 to 1.
    pub loss: f64,
    /// In this part of datagrams a bit is another when they arrive, from 0 to 1.
    pub damage: f64,
    /// Nothing passes.
    pub cut: bool,
}

/// A running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    way: Arc<Mutex<Way>>,
    front: JoinHandle<()>,
}

impl Relay {
    /// A relay on a free port of loopback that carries to `target` and back. Two relays of one seed
    /// lose and delay alike.
    pub async fn start(target: SocketAddr, seed: u64) -> io::Result<Relay> {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = front.local_addr()?;
        let chance = fastrand::Rng::with_seed(seed);
        let way = Arc::new(Mutex::new(Way { conditions: Conditions::default(), chance }));
        let front = tokio::spawn(carry(front, target, Arc::clone(&way)));
        Ok(Relay { address, way, front })
    }

    /// Where callers reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how the way is, from now on. What is on its way already arrives as it would have.
    pub fn set(&self, conditions: Conditions) {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).conditions = conditions;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.front.abort();
    }
}

#[derive(Debug)]
struct Way {
    conditions: Conditions,
    chance: fastrand::Rng,
}

impl Way {
    /// By how much the next datagram is late; `None` when it is lost.
    fn late_by(&mut self) -> Option<Duration> {
        let Conditions { delay, jitter, loss, cut, .. } = self.conditions;
        if cut || (loss > 0.0 && self.chance.f64() < loss) {
            return None;
        }
        Some(delay + jitter.mul_f64(self.chance.f64()))
    }

    /// Flips a bit of what is unlucky.
    fn wear(&mut self, bytes: &mut [u8]) {
        let damage = self.conditions.damage;
        if damage > 0.0 && !bytes.is_empty() && self.chance.f64() < damage {
            let place = self.chance.usize(0..bytes.len());
            bytes[place] ^= 1 << self.chance.u8(0..8);
        }
    }
}

/// Datagrams that wait for their time, in its order.
#[derive(Default)]
struct Waiting {
    datagrams: BTreeMap<(Instant, u64), Datagram>,
    passed: u64,
}

struct Datagram {
    out: Arc<UdpSocket>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

impl Datagram {
    /// Sends it; one that cannot be sent is a lost datagram.
    async fn send(&self) {
        let _lost = self.out.send_to(&self.bytes, self.to).await;
    }
}

impl Waiting {
    /// Sends at once what is not late, so that a way without delay adds none.
    async fn pass(&mut self, way: &Mutex<Way>, mut datagram: Datagram) {
        let late_by = {
            let mut way = way.lock().unwrap_or_else(PoisonError::into_inner);
            way.wear(&mut datagram.bytes);
            way.late_by()
        };
        match late_by {
            None => {}
            Some(Duration::ZERO) => datagram.send().await,
            Some(late_by) if self.datagrams.len() < WAITING_MAX => {
                self.passed += 1;
                self.datagrams.insert((Instant::now() + late_by, self.passed), datagram);
            }
            Some(_) => {}
        }
    }

    /// Returns when the first datagram is due; never, when there is none. Dropped without harm.
    async fn due(&self) {
        match self.datagrams.first_key_value() {
            Some(((due, _), _)) => sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    /// Sends what is due.
    async fn send_due(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.datagrams.first_entry() {
            if first.key().0 > now {
                return;
            }
            first.remove().send().await;
        }
    }
}

/// One caller has a socket of its own towards the target, so that answers find their way back.
struct Caller {
    socket: Arc<UdpSocket>,
    heard_at: Instant,
    back: AbortHandle,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.back.abort();
    }
}

/// Carries what callers send.
async fn carry(front: Arc<UdpSocket>, target: SocketAddr, way: Arc<Mutex<Way>>) {
    let mut callers = HashMap::new();
    let mut waiting = Waiting::default();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (length, from) = tokio::select! {
            received = front.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                Err(_) => return,
            },
            () = waiting.due() => {
                waiting.send_due().await;
                continue;
            }
        };
        let Ok(socket) = socket_of(from, &mut callers, &front, &way).await else { continue };
        let bytes = buffer[..length].to_vec();
        waiting.pass(&way, Datagram { out: socket, to: target, bytes }).await;
    }
}

async fn socket_of(
    from: SocketAddr,
    callers: &mut HashMap<SocketAddr, Caller>,
    front: &Arc<UdpSocket>,
    way: &Arc<Mutex<Way>>,
) -> io::Result<Arc<UdpSocket>> {
    if let Some(caller) = callers.get_mut(&from) {
        caller.heard_at = Instant::now();
        return Ok(Arc::clone(&caller.socket));
    }
    if callers.len() >= CALLERS_MAX {
        let silent = callers.iter().min_by_key(|(_, caller)| caller.heard_at);
        let silent = silent.map(|(address, _)| *address);
        silent.and_then(|address| callers.remove(&address));
    }
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    let back = carry_back(Arc::clone(&socket), Arc::clone(front), from, Arc::clone(way));
    let back = tokio::spawn(back).abort_handle();
    callers.insert(from, Caller { socket: Arc::clone(&socket), heard_at: Instant::now(), back });
    Ok(socket)
}

/// Carries what the target answers to one caller.
async fn carry_back(
    socket: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    caller: SocketAddr,
    way: Arc<Mutex<Way>>,
) {
    let mut waiting = Waiting::default();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, _)) => length,
                Err(_) => return,
            },
            () = waiting.due() => {
                waiting.send_due().await;
                continue;
            }
        };
        let bytes = buffer[..length].to_vec();
        waiting.pass(&way, Datagram { out: Arc::clone(&front), to: caller, bytes }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every datagram with itself.
    async fn echo() -> (SocketAddr, JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 100];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                socket.send_to(&buffer[..length], from).await.unwrap();
            }
        });
        (address, task)
    }

    async fn caller_of(relay: &Relay) -> UdpSocket {
        let caller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        caller.connect(relay.address()).await.unwrap();
        caller
    }

    async fn heard(caller: &UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 100];
        let length = caller.recv(&mut buffer).await.unwrap();
        buffer[..length].to_vec()
    }

    #[tokio::test]
    async fn each_caller_gets_the_answers_to_what_it_sent() {
        let (target, _echo) = echo().await;
        let relay = Relay::start(target, 1).await.unwrap();
        let (one, two) = (caller_of(&relay).await, caller_of(&relay).await);
        one.send(b"one").await.unwrap();
        two.send(b"two").await.unwrap();
        assert_eq!(heard(&two).await, b"two");
        assert_eq!(heard(&one).await, b"one");
    }

    #[tokio::test]
    async fn a_delay_is_added_each_way() {
        let (target, _echo) = echo().await;
        let relay = Relay::start(target, 1).await.unwrap();
        let delay = Duration::from_millis(10);
        relay.set(Conditions { delay, ..Conditions::default() });
        let caller = caller_of(&relay).await;
        let sent_at = Instant::now();
        caller.send(b"late").await.unwrap();
        assert_eq!(heard(&caller).await, b"late");
        assert!(sent_at.elapsed() >= 2 * delay);
    }

    #[test]
    fn a_cut_stops_everything_until_it_heals() {
        let chance = fastrand::Rng::with_seed(1);
        let mut way = Way { conditions: Conditions { cut: true, ..Default::default() }, chance };
        assert_eq!(way.late_by(), None);
        way.conditions.cut = false;
        assert_eq!(way.late_by(), Some(Duration::ZERO));
    }

    #[test]
    fn damage_is_one_bit_as_often_as_it_says() {
        let conditions = Conditions { damage: 0.25, ..Conditions::default() };
        let mut way = Way { conditions, chance: fastrand::Rng::with_seed(1) };
        let mut flipped = 0;
        for _ in 0..10_000 {
            let mut bytes = [0b1010_0101; 50];
            way.wear(&mut bytes);
            let bits: u32 = bytes.iter().map(|byte| (byte ^ 0b1010_0101).count_ones()).sum();
            assert!(bits <= 1);
            flipped += bits;
        }
        assert!((2_300..2_700).contains(&flipped), "{flipped}");
        way.conditions.damage = 0.0;
        way.wear(&mut []);
    }

    #[test]
    fn loss_is_as_often_as_it_says_and_alike_for_one_seed() {
        let lost = |seed| {
            let conditions = Conditions { loss: 0.25, ..Conditions::default() };
            let mut way = Way { conditions, chance: fastrand::Rng::with_seed(seed) };
            (0..10_000).map(|_| way.late_by().is_none()).collect::<Vec<_>>()
        };
        let count = lost(1).iter().filter(|lost| **lost).count();
        assert!((2_300..2_700).contains(&count), "{count}");
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
    }
}
