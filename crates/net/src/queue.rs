//! What waits to be sent to one peer on one lane: bounded in bytes, so that a slow peer costs its own
//! budget and never another's.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// A queue of frames.
#[derive(Debug)]
pub(crate) struct Queue {
    frames: Mutex<Frames>,
    filled: Notify,
    bytes_max: usize,
    /// Whether the oldest make room for the newest (heartbeats) or the newest is turned away.
    newest_wins: bool,
}

#[derive(Debug, Default)]
struct Frames {
    waiting: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize, newest_wins: bool) -> Queue {
        Queue { frames: Mutex::default(), filled: Notify::new(), bytes_max, newest_wins }
    }

    /// Queues a frame; how many frames were dropped for it, itself included.
    pub(crate) fn push(&self, frame: Bytes) -> u64 {
        let mut dropped = 0;
        let mut frames = self.lock();
        while self.newest_wins && frames.bytes + frame.len() > self.bytes_max {
            let Some(oldest) = frames.waiting.pop_front() else { break };
            frames.bytes -= oldest.len();
            dropped += 1;
        }
        if frames.bytes + frame.len() > self.bytes_max {
            return dropped + 1;
        }
        frames.bytes += frame.len();
        frames.waiting.push_back(frame);
        drop(frames);
        self.filled.notify_one();
        dropped
    }

    /// Waits until there is something, and takes all of it.
    pub(crate) async fn take(&self) -> VecDeque<Bytes> {
        loop {
            let filled = self.filled.notified();
            {
                let mut frames = self.lock();
                if !frames.waiting.is_empty() {
                    frames.bytes = 0;
                    return std::mem::take(&mut frames.waiting);
                }
            }
            filled.await;
        }
    }

    /// Forgets what waits: a new connection begins with what is said from now on.
    pub(crate) fn clear(&self) {
        *self.lock() = Frames::default();
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(byte: u8) -> Bytes {
        Bytes::from(vec![byte; 10])
    }

    #[tokio::test]
    async fn the_newest_heartbeat_replaces_the_oldest_when_the_queue_is_full() {
        let queue = Queue::new(30, true);
        assert_eq!((1..=4).map(|byte| queue.push(frame(byte))).sum::<u64>(), 1);
        let left: Vec<_> = queue.take().await.into_iter().map(|frame| frame[0]).collect();
        assert_eq!(left, [2, 3, 4]);
    }

    #[tokio::test]
    async fn a_full_log_lane_turns_the_newest_away_and_keeps_order() {
        let queue = Queue::new(30, false);
        assert_eq!((1..=4).map(|byte| queue.push(frame(byte))).sum::<u64>(), 1);
        let left: Vec<_> = queue.take().await.into_iter().map(|frame| frame[0]).collect();
        assert_eq!(left, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_queue_is_dropped_and_not_waited_for() {
        let queue = Queue::new(5, true);
        assert_eq!(queue.push(frame(1)), 1);
    }
}
