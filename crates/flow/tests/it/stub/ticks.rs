//! Time that passes when it is waited for.

use alluvium_flow::Timer;
use alluvium_model::ManualClock;
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Short waits pass at once. Long ones, those between two heartbeats, pass as often as they may; then they last.
pub struct Ticks {
    clock: Arc<ManualClock>,
    may: AtomicU32,
    pub over: Notify,
    /// A wait of this length is over when [`Ticks::gate`] is told.
    gated: Mutex<Option<Duration>>,
    pub gate: Notify,
}

impl Ticks {
    pub(super) fn new(clock: Arc<ManualClock>) -> Self {
        let (may, gated) = (AtomicU32::new(0), Mutex::default());
        Self { clock, may, over: Notify::new(), gated, gate: Notify::new() }
    }

    pub(super) fn let_pass(&self, heartbeats: u32) {
        self.may.store(heartbeats, SeqCst);
    }

    pub fn gate_at(&self, time: Duration) {
        *self.gated.lock().expect("no holder panics") = Some(time);
    }
}

#[async_trait]
impl Timer for Ticks {
    async fn wait(&self, time: Duration) {
        let pass = || self.clock.advance_micros(i64::try_from(time.as_micros()).expect("a short time"));
        if time < Duration::from_secs(5) {
            pass();
            return;
        }
        let gated = *self.gated.lock().expect("no holder panics");
        if gated == Some(time) {
            self.gate.notified().await;
            pass();
            return;
        }
        if self.may.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            self.over.notify_one();
            std::future::pending::<()>().await;
        }
        pass();
        tokio::task::yield_now().await;
    }
}
