//! What waits to be sent to one peer on one lane: bounded in bytes, so that a slow peer costs its
//! own budget and never another's.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// What a frame costs beside its body, so that a million of the smallest has a limit as well.
const FRAME_COST_BYTES: usize = 64;

/// A queue of frames, with one taker.
#[derive(Debug)]
pub(crate) struct Queue {
    frames: Mutex<Frames>,
    filled: Notify,
    bytes_max: usize,
    when_full: WhenFull,
}

/// What gives way in a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// The oldest: what is newer says more (heartbeats).
    DropOldest,
    /// The newest: order counts, and the protocol asks again for what is missing.
    DropNewest,
}

#[derive(Debug, Default)]
struct Frames {
    waiting: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize, when_full: WhenFull) -> Queue {
        Queue { frames: Mutex::default(), filled: Notify::new(), bytes_max, when_full }
    }

    /// Queues a frame; how many frames were dropped for it, itself included.
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        let cost = cost(&frame);
        if cost > self.bytes_max {
            return 1;
        }
        let mut dropped = 0;
        let mut frames = self.lock();
        while frames.bytes + cost > self.bytes_max {
            if self.when_full == WhenFull::DropNewest {
                return 1;
            }
            let Some(oldest) = frames.waiting.pop_front() else { break };
            frames.bytes -= self::cost(&oldest);
            dropped += 1;
        }
        frames.bytes += cost;
        frames.waiting.push_back(frame);
        drop(frames);
        self.filled.notify_one();
        dropped
    }

    /// Waits until there is something, and takes the oldest of it: one frame, and more while they
    /// stay below `bytes_max` together. The rest stays, where newer ones can still replace it.
    pub(crate) async fn take(&self, bytes_max: usize) -> Vec<Bytes> {
        loop {
            let taken = self.take_now(bytes_max);
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }

    fn take_now(&self, bytes_max: usize) -> Vec<Bytes> {
        let mut frames = self.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = frames.waiting.front() {
            bytes += next.len();
            if !taken.is_empty() && bytes > bytes_max {
                break;
            }
            frames.bytes -= cost(next);
            taken.extend(frames.waiting.pop_front());
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(frame: &Bytes) -> usize {
    FRAME_COST_BYTES + frame.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM_FOR_THREE: usize = 3 * (FRAME_COST_BYTES + 10);

    fn frame(byte: u8) -> Bytes {
        Bytes::from(vec![byte; 10])
    }

    fn push_four(queue: &Queue) -> u64 {
        (1..=4).map(|byte| queue.push(frame(byte))).sum()
    }

    async fn taken(queue: &Queue, bytes_max: usize) -> Vec<u8> {
        queue.take(bytes_max).await.into_iter().map(|frame| frame[0]).collect()
    }

    #[tokio::test]
    async fn the_newest_heartbeat_replaces_the_oldest_when_the_queue_is_full() {
        let queue = Queue::new(ROOM_FOR_THREE, WhenFull::DropOldest);
        assert_eq!(push_four(&queue), 1);
        assert_eq!(taken(&queue, 1_000).await, [2, 3, 4]);
    }

    #[tokio::test]
    async fn a_full_log_lane_turns_the_newest_away_and_keeps_order() {
        let queue = Queue::new(ROOM_FOR_THREE, WhenFull::DropNewest);
        assert_eq!(push_four(&queue), 1);
        assert_eq!(taken(&queue, 1_000).await, [1, 2, 3]);
    }

    #[tokio::test]
    async fn what_is_taken_makes_room_and_what_is_not_taken_stays() {
        let queue = Queue::new(ROOM_FOR_THREE, WhenFull::DropNewest);
        push_four(&queue);
        assert_eq!(taken(&queue, 20).await, [1, 2]);
        assert_eq!(queue.push(frame(5)) + queue.push(frame(6)), 0);
        assert_eq!(queue.push(frame(7)), 1);
        assert_eq!(taken(&queue, 5).await, [3], "one is taken, however large");
        assert_eq!(taken(&queue, 1_000).await, [5, 6]);
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_queue_is_dropped_and_drops_no_other() {
        let queue = Queue::new(ROOM_FOR_THREE, WhenFull::DropOldest);
        queue.push(frame(1));
        assert_eq!(queue.push(Bytes::from(vec![2; ROOM_FOR_THREE])), 1);
        assert_eq!(taken(&queue, 1_000).await, [1]);
    }

    /// The taker sleeps between two looks; what comes then must wake it.
    #[tokio::test]
    async fn a_taker_that_waits_is_woken() {
        let queue = Queue::new(ROOM_FOR_THREE, WhenFull::DropOldest);
        let (taken, _) = tokio::join!(taken(&queue, 1_000), async { queue.push(frame(1)) });
        assert_eq!(taken, [1]);
    }
}
