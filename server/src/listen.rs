//! Listeners: every address that a name means, or one line that says which flag to change.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The listeners of one front end, and where they are.
pub struct Bound {
    /// Listening already; nothing is accepted until they are served.
    pub listeners: Vec<TcpListener>,
    /// The first address, as clients should be told.
    pub address: SocketAddr,
}

/// Binds `address` (`host:port`) for the front end that `flag` configures. A host name is bound on all its addresses:
/// localhost is 127.0.0.1 and ::1. Outside loopback only if `insecure`.
pub fn bind(flag: &str, address: &str, insecure: bool) -> Result<Bound, String> {
    let mut addresses = resolve(flag, address)?;
    if let Some(open) = addresses.iter().find(|a| !a.ip().is_loopback())
        && !insecure
    {
        return Err(format!(
            "{flag} {address}: {} is not loopback and signatures are not verified yet; use a loopback address, or add --insecure",
            open.ip()
        ));
    }
    let mut listeners = Vec::new();
    let mut first: Option<SocketAddr> = None;
    for wanted in &mut addresses {
        if let (0, Some(first)) = (wanted.port(), first) {
            wanted.set_port(first.port());
        }
        match listener(*wanted) {
            Ok(listener) => {
                let bound = listener.local_addr().map_err(|e| format!("{flag} {address}: {e}"))?;
                first.get_or_insert(bound);
                listeners.push(listener);
            }
            // A machine without IPv6 still has a localhost.
            Err(error)
                if wanted.is_ipv6() && first.is_some() && error.kind() != std::io::ErrorKind::AddrInUse => {}
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(format!(
                    "{flag} {address}: port {} is in use by another process; stop it or choose another port with {flag}",
                    wanted.port()
                ));
            }
            Err(error) => return Err(format!("{flag} {address}: cannot listen on {wanted}: {error}")),
        }
    }
    let address = first.ok_or_else(|| format!("{flag} {address}: no address to listen on"))?;
    Ok(Bound { listeners, address })
}

/// The address that others are told of a listener: what the configuration says, or what is listened on, which must
/// then be the address of one machine.
pub fn advertised(flag: &str, bound: SocketAddr, configured: Option<&str>) -> Result<String, String> {
    match configured {
        Some(address) => address
            .rsplit_once(':')
            .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
            .map(|_| address.to_owned())
            .ok_or_else(|| format!("{flag} {address}: an address is HOST:PORT, for example node-a:8003")),
        None if bound.ip().is_unspecified() => Err(format!(
            "nobody can connect to {bound}; say where this node is reached with {flag} HOST:PORT"
        )),
        None => Ok(bound.to_string()),
    }
}

fn resolve(flag: &str, address: &str) -> Result<Vec<SocketAddr>, String> {
    let bad =
        |why: String| format!("{flag} {address}: {why}; an address is HOST:PORT, for example localhost:8000");
    let mut addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(|e| bad(e.to_string()))?.collect();
    if let Some(("localhost", port)) = address.rsplit_once(':') {
        let port = port.parse().map_err(|_| bad(format!("{port} is no port")))?;
        let both: [IpAddr; 2] = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
        addresses = both.map(|ip| SocketAddr::new(ip, port)).to_vec();
    }
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    Ok(addresses)
}

fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart is instant.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_can_be_connected_to() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(advertised("--x", at("10.0.0.1:5"), None), Ok("10.0.0.1:5".into()));
        assert_eq!(advertised("--x", at("0.0.0.0:5"), Some("node-a:7")), Ok("node-a:7".into()));
        for (bound, configured) in [("0.0.0.0:5", None), ("[::]:5", None), ("10.0.0.1:5", Some("node-a"))] {
            let line = advertised("--x", at(bound), configured).expect_err("unreachable");
            assert!(line.contains("--x") && line.contains("HOST:PORT"), "{line}");
        }
    }
}
