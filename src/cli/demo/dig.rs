//! Real questions to the demo's server, over UDP.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::cli::output::CommandError;

const PATIENCE: Duration = Duration::from_secs(2);

/// An answer, as `dig +short` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// One line a record, sorted: SRV by priority.
    pub(super) lines: Vec<String>,
}

impl Answered {
    /// The target of the most preferred SRV record.
    pub(super) fn first_target(&self) -> Option<&str> {
        self.lines.first()?.split(' ').nth(3)
    }
}

/// Asks for SRV or A records.
pub(super) async fn ask(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
) -> Result<Answered, CommandError> {
    let failed = |what: String| CommandError::Failed(format!("asking {server} for {name}: {what}"));
    let owner = Name::from_str(name).map_err(|error| failed(error.to_string()))?;
    let mut query = Message::query();
    query.add_query(Query::query(owner, kind));
    let id = query.metadata.id;
    let packet = query.to_vec().map_err(|error| failed(error.to_string()))?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let mut response = vec![0; 4096];
    let exchange = async {
        socket.connect(server).await?;
        socket.send(&packet).await?;
        socket.recv(&mut response).await
    };
    let read = match timeout(PATIENCE, exchange).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    };
    response.truncate(read);
    let message = Message::from_vec(&response).map_err(|error| failed(error.to_string()))?;
    if message.metadata.id != id {
        return Err(failed("an answer to another question".to_owned()));
    }
    Ok(short(&message))
}

fn short(message: &Message) -> Answered {
    let mut services = Vec::new();
    let mut addresses = Vec::new();
    for record in &message.answers {
        if let RData::SRV(srv) = &record.data {
            let line = format!(
                "{} {} {} {}",
                srv.priority, srv.weight, srv.port, srv.target
            );
            services.push((srv.priority, line));
        } else if let RData::A(address) = &record.data {
            addresses.push(address.to_string());
        }
    }
    services.sort();
    addresses.sort();
    let services = services.into_iter().map(|(_, line)| line);
    Answered {
        lines: services.chain(addresses).collect(),
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::SRV;

    use super::*;

    #[test]
    fn the_most_preferred_target_comes_first() {
        let owner = Name::from_str("_xmpp-server._tcp.contoso.test.").unwrap();
        let mut message = Message::query();
        for (priority, target) in [(20, "edge2.contoso.test."), (10, "edge1.contoso.test.")] {
            let target = Name::from_str(target).unwrap();
            let data = RData::SRV(SRV::new(priority, 0, 5269, target));
            message
                .answers
                .push(Record::from_rdata(owner.clone(), 5, data));
        }
        let answered = short(&message);
        assert_eq!(answered.lines[0], "10 0 5269 edge1.contoso.test.");
        assert_eq!(answered.first_target(), Some("edge1.contoso.test."));
    }
}
