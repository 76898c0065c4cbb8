//! A UDP relay in front of one address: delay, jitter, loss, and a cut, changed while it runs. It needs no
//! rights and no kernel module, so the demo, the benchmarks and the tests can all have a WAN.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{net::UdpSocket, task::JoinSet};

/// The largest UDP payload there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Callers that one relay carries for; a new one beyond it is not heard.
const CALLERS_MAX: usize = 1_024;

/// How the way is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Every datagram is late by this, each way.
    pub delay: Duration,
    /// And by up to this more, by chance.
    pub jitter: Duration,
    /// This part of datagrams is lost, from 0 to 1.
    pub loss: f64,
    /// Nothing passes.
    pub cut: bool,
}

/// A running relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    way: Arc<Mutex<Way>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Way {
    conditions: Conditions,
    chance: fastrand::Rng,
}

impl Way {
    /// When a datagram that came now goes on; `None` when it is lost.
    fn late_by(&mut self) -> Option<Duration> {
        let Conditions { delay, jitter, loss, cut } = self.conditions;
        if cut || (loss > 0.0 && self.chance.f64() < loss) {
            return None;
        }
        Some(delay + jitter.mul_f64(self.chance.f64()))
    }
}

impl Relay {
    /// A relay on a free port of loopback that carries to `target` and back.
    pub async fn start(target: SocketAddr, seed: u64) -> io::Result<Relay> {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = front.local_addr()?;
        let chance = fastrand::Rng::with_seed(seed);
        let way = Arc::new(Mutex::new(Way { conditions: Conditions::default(), chance }));
        let mut tasks = JoinSet::new();
        tasks.spawn(carry(front, target, Arc::clone(&way)));
        Ok(Relay { address, way, _tasks: tasks })
    }

    /// Where callers reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how the way is, from now on.
    pub fn set(&self, conditions: Conditions) {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).conditions = conditions;
    }
}

/// Carries what callers send; each caller gets a socket of its own towards the target, so that the
/// answers find their way back.
async fn carry(front: Arc<UdpSocket>, target: SocketAddr, way: Arc<Mutex<Way>>) {
    let mut callers: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut returns = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An ICMP error of an earlier datagram surfaces here; the next one may still pass.
        let Ok((length, caller)) = front.recv_from(&mut buffer).await else { continue };
        if !callers.contains_key(&caller) {
            if callers.len() >= CALLERS_MAX {
                continue;
            }
            let Ok(back) = UdpSocket::bind("127.0.0.1:0").await else { continue };
            let back = Arc::new(back);
            callers.insert(caller, Arc::clone(&back));
            returns.spawn(carry_back(back, Arc::clone(&front), caller, Arc::clone(&way)));
        }
        if let Some(out) = callers.get(&caller) {
            pass(Arc::clone(out), target, &buffer[..length], &way);
        }
    }
}

async fn carry_back(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    caller: SocketAddr,
    way: Arc<Mutex<Way>>,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, _)) = back.recv_from(&mut buffer).await else { continue };
        pass(Arc::clone(&front), caller, &buffer[..length], &way);
    }
}

fn pass(out: Arc<UdpSocket>, to: SocketAddr, datagram: &[u8], way: &Mutex<Way>) {
    let Some(late_by) = way.lock().unwrap_or_else(PoisonError::into_inner).late_by() else {
        return;
    };
    let datagram = datagram.to_vec();
    tokio::spawn(async move {
        if late_by > Duration::ZERO {
            tokio::time::sleep(late_by).await;
        }
        // A datagram that cannot be sent is a lost datagram.
        let _ = out.send_to(&datagram, to).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> (SocketAddr, tokio::task::JoinHandle<()>) {
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

    #[tokio::test]
    async fn what_goes_through_comes_back_and_a_cut_stops_it_until_it_heals() {
        let (target, _echo) = echo().await;
        let relay = Relay::start(target, 1).await.unwrap();
        let caller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        caller.connect(relay.address()).await.unwrap();
        let mut buffer = [0; 100];
        caller.send(b"one").await.unwrap();
        assert_eq!(caller.recv(&mut buffer).await.unwrap(), 3);
        relay.set(Conditions { cut: true, ..Conditions::default() });
        caller.send(b"lost").await.unwrap();
        // The relay reads datagrams in order: when the next one is back, the cut one was read.
        tokio::time::sleep(Duration::from_millis(50)).await;
        relay.set(Conditions::default());
        caller.send(b"three").await.unwrap();
        assert_eq!(caller.recv(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"three");
    }

    #[test]
    fn loss_is_as_often_as_it_says() {
        let conditions = Conditions { loss: 0.25, ..Conditions::default() };
        let mut way = Way { conditions, chance: fastrand::Rng::with_seed(1) };
        let lost = (0..10_000).filter(|_| way.late_by().is_none()).count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
