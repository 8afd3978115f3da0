//! Which resolvers the system uses.

use std::net::{IpAddr, SocketAddr};

/// Where the system says so (resolv.conf(5)).
const FILE: &str = "/etc/resolv.conf";

/// Why they are not known.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The file cannot be read.
    #[error(
        "the system's resolvers are not known ({FILE}: {0}): name one with --resolver, or walk from the root with --from-root"
    )]
    Unreadable(#[source] std::io::Error),
    /// It names none.
    #[error(
        "{FILE} names no resolver: name one with --resolver, or walk from the root with --from-root"
    )]
    Empty,
}

/// The resolvers that the system uses.
///
/// # Errors
/// They are not known.
pub fn resolvers() -> Result<Vec<SocketAddr>, SystemError> {
    let text = std::fs::read_to_string(FILE).map_err(SystemError::Unreadable)?;
    let found = read(&text);
    if found.is_empty() {
        return Err(SystemError::Empty);
    }
    Ok(found)
}

fn read(text: &str) -> Vec<SocketAddr> {
    let lines = text.lines().map(str::split_whitespace);
    let servers = lines.filter_map(|mut words| match words.next() {
        Some("nameserver") => words.next()?.parse::<IpAddr>().ok(),
        _ => None,
    });
    servers
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_and_nothing_else() {
        let text = "# nameserver 192.0.2.9\nsearch contoso.test\nnameserver  192.0.2.1\n\
                    nameserver 2001:db8::1 # second\nnameserver\nnameserver fe80::1%eth0\n";
        let found: Vec<String> = read(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }
}
