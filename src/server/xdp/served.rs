//! Which datagrams of an interface are ours: addresses, ports, and the VLAN that they come in.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;

/// Rows for one interface at most: each costs each frame a comparison.
pub(super) const MOST: usize = 256;

/// A datagram to this address and port, in this VLAN, is a query for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// `None` without a tag, and with one of priority only.
    pub(super) vlan: Option<u16>,
}

/// An address of this machine, and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) interface: String,
    pub(super) address: IpAddr,
    /// If the interface is a VLAN: of which interface, and its number.
    pub(super) vlan: Option<(String, u16)>,
    /// Whether it is the loopback interface, whose addresses are reached through any other.
    pub(super) loopback: bool,
}

/// The addresses of this machine.
///
/// # Errors
/// What the system says.
pub(super) fn held() -> nix::Result<Vec<Held>> {
    let all = getifaddrs()?;
    Ok(all
        .filter_map(|one| {
            let address = one.address?;
            let address = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
                (Some(v4), _) => IpAddr::from(v4.ip()),
                (None, Some(v6)) => IpAddr::from(v6.ip()),
                (None, None) => return None,
            };
            Some(Held {
                vlan: vlan_of(&one.interface_name),
                loopback: one
                    .flags
                    .contains(nix::net::if_::InterfaceFlags::IFF_LOOPBACK),
                interface: one.interface_name,
                address,
            })
        })
        .collect())
}

/// The address of an interface on its link.
pub(super) fn link_address(interface: &str) -> Option<[u8; 6]> {
    getifaddrs()
        .ok()?
        .filter(|one| one.interface_name == interface)
        .find_map(|one| one.address?.as_link_addr()?.addr())
}

/// Whose VLAN an interface is, and its number, as the kernel's file of it says.
fn vlan_of(interface: &str) -> Option<(String, u16)> {
    read_vlan(&fs::read_to_string(format!("/proc/net/vlan/{interface}")).ok()?)
}

/// `eth0.5  VID: 5 ...` in the first line, `Device: eth0` in another.
fn read_vlan(text: &str) -> Option<(String, u16)> {
    let after = |word: &str| {
        let mut words = text.split_whitespace().skip_while(|it| *it != word);
        words.nth(1)
    };
    Some((after("Device:")?.to_owned(), after("VID:")?.parse().ok()?))
}

/// What of `listen` comes in through `interface`, [`MOST`] at most. A socket of all addresses
/// stands for those that the machine has now; queries to one that it gets later go through that
/// socket.
///
/// An address counts where the machine expects it: on the interface itself and on the loopback
/// interface without a tag, on a VLAN of the interface with its tag. A network card that takes
/// tags off by itself thus makes such frames pass to the kernel, not vanish.
pub(super) fn served(interface: &str, listen: &[SocketAddr], held: &[Held]) -> Vec<Served> {
    let mut rows: Vec<Served> = Vec::new();
    for listening in listen {
        let (wanted, port) = (listening.ip(), listening.port());
        for one in held {
            let is_meant = match wanted.is_unspecified() {
                true => wanted.is_ipv4() == one.address.is_ipv4(),
                false => wanted == one.address,
            };
            // No wire brings these (RFC 1122 section 3.2.1.3).
            let is_meant = is_meant && !one.address.is_loopback();
            let is_here = one.interface == interface || one.loopback;
            let vlan = match &one.vlan {
                None if is_here => None,
                Some((of, number)) if of == interface => Some(*number),
                None | Some(_) => continue,
            };
            let row = Served {
                address: one.address,
                port,
                vlan,
            };
            if is_meant && !rows.contains(&row) && rows.len() < MOST {
                rows.push(row);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(interface: &str, address: &str, vlan: Option<(&str, u16)>) -> Held {
        Held {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            vlan: vlan.map(|(of, number)| (of.to_owned(), number)),
            loopback: interface == "lo",
        }
    }

    fn row(address: &str, vlan: Option<u16>) -> Served {
        Served {
            address: address.parse().unwrap(),
            port: 53,
            vlan,
        }
    }

    #[test]
    fn an_address_is_served_where_it_is_held_and_in_its_vlan() {
        let machine = [
            held("lo", "127.0.0.1", None),
            held("lo", "192.0.2.53", None),
            held("eth0", "198.51.100.1", None),
            held("eth0", "2001:db8::1", None),
            held("eth0.5", "203.0.113.1", Some(("eth0", 5))),
            held("eth1", "198.51.100.2", None),
        ];
        let listen = |text: &[&str]| -> Vec<SocketAddr> {
            text.iter().map(|text| text.parse().unwrap()).collect()
        };
        assert_eq!(
            served("eth0", &listen(&["0.0.0.0:53"]), &machine),
            [
                row("192.0.2.53", None),
                row("198.51.100.1", None),
                row("203.0.113.1", Some(5))
            ]
        );
        assert_eq!(
            served("eth0", &listen(&["[::]:53", "198.51.100.2:53"]), &machine),
            [row("2001:db8::1", None)]
        );
        assert_eq!(
            served(
                "eth0",
                &listen(&["198.51.100.1:53", "0.0.0.0:53"]),
                &machine
            )
            .len(),
            3,
            "no row twice"
        );
    }

    #[test]
    fn the_kernels_file_of_a_vlan_is_read() {
        let text = "eth0.5  VID: 5\t REORDER_HDR: 1  dev->priv_flags: 1021\n         total frames \
                    received            0\nDevice: eth0\nINGRESS priority mappings: 0:0\n";
        assert_eq!(read_vlan(text), Some(("eth0".to_owned(), 5)));
        assert_eq!(read_vlan("what else"), None);
    }
}
