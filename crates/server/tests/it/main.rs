//! What the service does with its edges, over a real state and real sockets on this machine.

mod outbox;
mod receiver;
mod tls;
