//! The word to stop, heard by everything that is going on.

use tokio::sync::watch;

/// Says it, once.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears it. A stopper that is gone has said it too.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    pub fn new() -> (Self, Stop) {
        let (says, hears) = watch::channel(false);
        (Self(says), Stop(hears))
    }

    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    pub fn is_said(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Ends when it is said.
    pub async fn said(mut self) {
        let _ = self.0.wait_for(|said| *said).await;
    }
}
