//! Which addresses a webhook may lead to: those that the project's owner wrote, but never where a machine keeps credentials.
//!
//! Called by `webhook.rs`, after a name was resolved and before anything is connected, so that a name that leads elsewhere later is
//! judged by where it leads then.

use super::error::SinkError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Clouds that answer for a machine's credentials elsewhere than at link-local addresses.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254))];

/// What a webhook allows beyond the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) http: bool,
    pub(super) link_local: bool,
}

/// All of them have to be fit: which one is connected to is not ours to say.
pub(super) fn check(host: &str, https: bool, allowed: Allowed, addresses: &[SocketAddr]) -> Result<(), SinkError> {
    for address in addresses.iter().map(SocketAddr::ip) {
        if !allowed.link_local && is_forbidden(address) {
            return Err(SinkError::Address { host: host.to_owned(), address });
        }
        if !https && !allowed.http && !address.to_canonical().is_loopback() {
            return Err(SinkError::Plain(host.to_owned()));
        }
    }
    Ok(())
}

fn is_forbidden(address: IpAddr) -> bool {
    let address = address.to_canonical();
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Fault;

    const USUAL: Allowed = Allowed { http: false, link_local: false };

    fn asked(https: bool, allowed: Allowed, ips: &[&str]) -> Result<(), &'static str> {
        let addresses: Vec<SocketAddr> =
            ips.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 443)).collect();
        check("host", https, allowed, &addresses).map_err(|e| e.code())
    }

    #[test]
    fn credentials_of_machines_are_out_of_reach() {
        for ip in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "0.0.0.0",
            "::",
            "224.0.0.1",
        ] {
            assert_eq!(asked(true, USUAL, &[ip]), Err("H0305"), "{ip}");
            assert_eq!(asked(true, USUAL, &["192.0.2.1", ip]), Err("H0305"), "beside another");
            assert_eq!(asked(true, Allowed { link_local: true, ..USUAL }, &[ip]), Ok(()));
        }
    }

    #[test]
    fn private_networks_are_the_owners_choice() {
        for ip in ["10.0.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd12::1", "192.0.2.1"] {
            assert_eq!(asked(true, USUAL, &[ip]), Ok(()), "{ip}");
        }
    }

    #[test]
    fn without_tls_only_this_machine_is_asked() {
        for (ip, here) in [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false)] {
            assert_eq!(asked(false, USUAL, &[ip]).is_ok(), here, "{ip}");
            assert_eq!(asked(false, Allowed { http: true, ..USUAL }, &[ip]), Ok(()));
        }
    }
}
