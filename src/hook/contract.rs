//! **Pure.** What a hook is told: its environment, and the same as JSON on its standard input.
//!
//! Names of servers come without the final dot, as programs other than name servers want them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::failover::HookCall;
use crate::ids::ServerName;

/// What of the daemon's own environment a hook sees, if it is set.
pub(super) const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// `PATH` for a daemon that has none.
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn host(server: &ServerName) -> &str {
    let name = server.as_str();
    name.strip_suffix('.').unwrap_or(name)
}

/// The environment of `call`, beside [`INHERITED`].
pub(super) fn environment(call: &HookCall) -> BTreeMap<String, String> {
    let servers: Vec<&str> = call.servers.iter().map(host).collect();
    let mut told = BTreeMap::new();
    // Free words first: none of them can stand in for one of ours.
    for (word, value) in &call.vars {
        let name: String = word
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        told.insert(format!("SWITCHBACK_VAR_{name}"), value.clone());
    }
    let mut tell = |name: &str, value: String| {
        told.insert(format!("SWITCHBACK_{name}"), value);
    };
    tell("OPERATION", call.operation.to_string());
    tell("SERVICE", call.service.to_string());
    tell("STEP", call.step.clone());
    tell("FROM_POOL", call.from_pool.to_string());
    tell("TO_POOL", call.to_pool.to_string());
    tell("POOL", call.pool.to_string());
    tell("SERVERS", servers.join(" "));
    if let Some(server) = &call.server {
        tell("SERVER", host(server).to_owned());
    }
    tell("ATTEMPT", call.attempt.to_string());
    tell("UNDO", u8::from(call.undo).to_string());
    tell("FENCE", call.fence.to_string());
    tell("TIMEOUT_MS", call.timeout.as_millis().to_string());
    told
}

/// The same as one JSON object.
pub(super) fn object(call: &HookCall) -> Value {
    json!({
        "operation": call.operation.to_string(),
        "service": call.service.as_str(),
        "step": call.step,
        "from_pool": call.from_pool.as_str(),
        "to_pool": call.to_pool.as_str(),
        "pool": call.pool.as_str(),
        "servers": call.servers.iter().map(host).collect::<Vec<_>>(),
        "server": call.server.as_ref().map(host),
        "attempt": call.attempt,
        "undo": call.undo,
        "fence": call.fence,
        "timeout_ms": u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX),
        "vars": call.vars,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::ids::{OperationId, PoolName, ServiceName};
    use crate::runbook::{Command, Work};

    fn call() -> HookCall {
        HookCall {
            operation: OperationId(7),
            task: 3,
            attempt: 2,
            undo: true,
            fence: 9,
            service: ServiceName::from("xmpp-federation"),
            step: "stop services".to_owned(),
            from_pool: PoolName::from("edgepool1"),
            to_pool: PoolName::from("edgepool2"),
            pool: PoolName::from("edgepool2"),
            servers: ["edge3.contoso.test.", "edge4.contoso.test."]
                .map(ServerName::from)
                .into(),
            server: Some(ServerName::from("edge4.contoso.test.")),
            vars: [
                ("lync-site.1", "Site2"),
                ("route", "EdgeServer2.contoso.com"),
            ]
            .map(|(word, value)| (word.to_owned(), value.to_owned()))
            .into(),
            work: Work::Run(Command(vec!["/bin/true".to_owned()])),
            timeout: Duration::from_secs(60),
        }
    }

    #[test]
    fn the_environment_tells_everything_under_names_that_a_shell_can_say() {
        let told: Vec<String> = environment(&call())
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            told,
            [
                "SWITCHBACK_ATTEMPT=2",
                "SWITCHBACK_FENCE=9",
                "SWITCHBACK_FROM_POOL=edgepool1",
                "SWITCHBACK_OPERATION=op-7",
                "SWITCHBACK_POOL=edgepool2",
                "SWITCHBACK_SERVER=edge4.contoso.test",
                "SWITCHBACK_SERVERS=edge3.contoso.test edge4.contoso.test",
                "SWITCHBACK_SERVICE=xmpp-federation",
                "SWITCHBACK_STEP=stop services",
                "SWITCHBACK_TIMEOUT_MS=60000",
                "SWITCHBACK_TO_POOL=edgepool2",
                "SWITCHBACK_UNDO=1",
                "SWITCHBACK_VAR_LYNC_SITE_1=Site2",
                "SWITCHBACK_VAR_ROUTE=EdgeServer2.contoso.com",
            ]
        );
    }

    #[test]
    fn a_step_that_runs_once_names_no_single_server() {
        let call = HookCall {
            server: None,
            ..call()
        };
        assert!(!environment(&call).contains_key("SWITCHBACK_SERVER"));
        assert_eq!(object(&call)["server"], Value::Null);
        assert_eq!(object(&call)["servers"][1], "edge4.contoso.test");
    }
}
