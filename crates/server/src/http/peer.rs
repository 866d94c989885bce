//! Who called: the address at the other end of the connection, which may be a proxy's.

use super::{api::State, tls::Door};
use axum::{
    extract::{ConnectInfo, FromRequestParts, connect_info::Connected},
    http::request::Parts,
    serve::IncomingStream,
};
use std::{convert::Infallible, net::SocketAddr};
use tokio::net::TcpListener;

/// Of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote(SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Remote {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, Door>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Its address without the port; `-` where there is none.
pub(super) struct Peer(pub(super) String);

impl Peer {
    pub(super) fn of(extensions: &axum::http::Extensions) -> Self {
        let address = extensions.get::<ConnectInfo<Remote>>().map(|c| c.0.0.ip().to_canonical().to_string());
        Self(address.unwrap_or_else(|| "-".to_owned()))
    }
}

impl FromRequestParts<State> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
