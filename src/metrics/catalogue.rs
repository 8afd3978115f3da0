//! Every metric that there is: what `docs/metrics.md` lists, and nothing else is told.

/// How a value behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the process on.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of durations, by upper bounds.
    Histogram,
}

/// One metric with all its labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name as it is scraped.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Kind {
    /// The word for it in the text format.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

macro_rules! catalogue {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            pub(super) const $constant: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// All of them, in the order in which they are told.
        pub const CATALOGUE: &[Family] = &[$($constant),*];
    };
}

catalogue! {
    BUILD: Gauge "switchback_build_info" ["version"] "Always 1; the release is its label";
    START: Gauge "process_start_time_seconds" [] "When the process started, seconds since 1970";
    CPU: Counter "process_cpu_seconds_total" [] "Processor time of the process, user and system";
    ALARMS: Gauge "switchback_alarms" [] "What somebody should look at: the alarms of `switchback status`";
    LEFT_OUT: Gauge "switchback_metrics_left_out" [] "Series that are left out of this page because a metric has more than 10000";

    QUERIES: Counter "switchback_dns_queries_total" ["transport", "type"] "DNS messages taken up, by the type of their question; types that are seldom asked for are `other`, messages without a question that can be read `none`";
    RESPONSES: Counter "switchback_dns_responses_total" ["transport", "rcode"] "DNS responses made, by RCODE; streams of zone transfers are in switchback_dns_transfers_total";
    RESPONSE_BYTES: Counter "switchback_dns_response_bytes_total" ["transport"] "Octets of these responses, without the headers of the transport";
    DROPPED: Counter "switchback_dns_dropped_total" ["transport"] "Messages that got no response: no queries, too long, over the rate limit, or the response could not be sent";
    TRUNCATED: Counter "switchback_dns_truncated_total" ["transport"] "Responses with the TC bit";
    PANICS: Counter "switchback_dns_panics_total" ["transport"] "Queries at which the answer engine panicked; not 0 is a defect to be reported";
    DURATION: Histogram "switchback_dns_answer_duration_seconds" ["transport"] "Time from when a query was taken from the system to when its answer was handed over to it; over UDP all queries that one call received count the time of all, over TCP and TLS those read at a time; over HTTPS and QUIC it ends when the answer is made. Waiting in buffers of the system is not in it";
    CONNECTIONS: Gauge "switchback_dns_connections" ["transport"] "Connections of clients that are open";
    EVICTED: Counter "switchback_dns_connections_evicted_total" ["transport"] "Connections closed to make room for a newer one";
    REFUSED: Counter "switchback_dns_connections_refused_total" ["transport"] "Connections closed at once because their network had its share";
    TRANSFERS: Counter "switchback_dns_transfers_total" ["transport", "kind"] "Zone transfers to secondaries that were granted, over streams";
    TRANSFERS_REFUSED: Counter "switchback_dns_transfers_refused_total" ["transport"] "Requests for a zone transfer over a stream that were not granted";

    LIMITED: Counter "switchback_dns_rate_limited_total" ["class"] "Responses over UDP that were over the rate limit of their network, those too that were only counted";
    LIMIT_SLIPPED: Counter "switchback_dns_rate_limited_slipped_total" ["class"] "Of these, those in whose place went the way to TCP, or an error as short";
    LIMIT_DROPPED: Counter "switchback_dns_rate_limited_dropped_total" ["class"] "Of these, those in whose place nothing was sent; each is also in switchback_dns_dropped_total";
    LIMIT_NETWORKS: Gauge "switchback_dns_rate_limited_networks" [] "Networks and classes that are over the rate limit now, 32 at most";

    GENERATION: Gauge "switchback_snapshot_generation" [] "The number of the snapshot that answers";
    SNAPSHOT: Gauge "switchback_snapshot_timestamp_seconds" [] "Since when this snapshot answers, seconds since 1970";
    ZONES: Gauge "switchback_zones" [] "Zones that are served";

    ZONE_GOOD: Gauge "switchback_zone_good" ["zone"] "1 while a zone that is transferred from primaries is answered, 0 while it has expired or has not come";
    ZONE_REFRESHED: Gauge "switchback_zone_refreshed_timestamp_seconds" ["zone"] "When a primary last said that the version of a transferred zone is the newest, seconds since 1970";
    ZONE_EXPIRES: Gauge "switchback_zone_expiry_timestamp_seconds" ["zone"] "When a transferred zone expires, seconds since 1970";
    VISITS: Counter "switchback_zone_visits_total" ["result"] "Visits to primaries: `current` (nothing new), `taken` (a new version is served), `failed`";
    SECONDARY_FOLLOWS: Gauge "switchback_secondary_acknowledged" ["zone", "secondary"] "1 if a secondary has acknowledged the serial that is served, else 0";
    SECONDARY_ACKNOWLEDGED: Gauge "switchback_secondary_acknowledged_timestamp_seconds" ["zone", "secondary"] "When a secondary last acknowledged a serial, seconds since 1970";
    SECONDARY_NOTIFIES: Gauge "switchback_secondary_notifies" ["zone", "secondary"] "How often a secondary was told of its latest serial";

    UPLINK: Gauge "switchback_uplink_up" ["family"] "0 while all reference targets of an address family fail: then nothing is decided";
    POOL_HEALTH: Gauge "switchback_pool_health" ["pool", "state"] "1 for the state that a pool is in, 0 for the others";
    HEALTH: Gauge "switchback_endpoint_health" ["pool", "server", "address", "state"] "1 for the state that an address of a server is in, 0 for the others";
    LOOK_GOOD: Gauge "switchback_probe_success" ["pool", "server", "address", "probe"] "1 if the last look was good, else 0";
    LOOK_AT: Gauge "switchback_probe_look_timestamp_seconds" ["pool", "server", "address", "probe"] "When the last look ended, seconds since 1970";
    LOOK_TOOK: Gauge "switchback_probe_look_duration_seconds" ["pool", "server", "address", "probe"] "How long the last look took";
    PHASE_TOOK: Gauge "switchback_probe_phase_duration_seconds" ["pool", "server", "address", "probe", "phase"] "How long a step of a look took when it was last taken";
    LOOKS_DROPPED: Counter "switchback_probe_looks_dropped_total" [] "Looks that were not taken into account because too many waited";
    EDGE_CERTIFICATE: Gauge "switchback_endpoint_certificate_expiry_timestamp_seconds" ["pool", "server", "address"] "When the certificate ends that an edge server showed last, seconds since 1970";

    ACTIVE: Gauge "switchback_service_active" ["service", "pool"] "1 for the pool of a service that is published first, 0 for its others";
    PREFERRED: Gauge "switchback_service_on_preferred" ["service"] "1 while a service is at the pool that its configuration prefers, else 0";
    ACTIVE_SINCE: Gauge "switchback_service_active_timestamp_seconds" ["service"] "Since when the active pool has been this one, seconds since 1970";
    TTL: Gauge "switchback_service_ttl_seconds" ["service"] "The TTL of the records of a service";
    ATTENTION: Gauge "switchback_service_needs_attention" ["service"] "1 while a service waits for a person: a move wants approval, an operation has halted, a pool is no target any more";
    MOVES: Counter "switchback_service_moves_total" ["service", "to"] "Moves of the active pool, to this pool";
    RUNNING: Gauge "switchback_failover_running" ["service"] "1 while an operation is under way";
    BEGUN: Counter "switchback_failovers_begun_total" ["service", "to"] "Operations that have begun, failbacks too";
    ENDED: Counter "switchback_failovers_ended_total" ["service", "to", "result"] "Operations that have ended: `completed`, `halted`, `needs-human`";
    STEPS: Counter "switchback_steps_total" ["service", "step", "result"] "Steps of operations that have ended, one for each server where they run for each: `done`, `failed`, `undone`, `unknown`, `not-run`";
    STEP_TOOK: Histogram "switchback_step_duration_seconds" ["service", "step"] "How long the latest run of each such step took, its hook included";
    OVERRIDES: Gauge "switchback_overrides" ["kind"] "Words of operators that are in force";

    CERTIFICATE: Gauge "switchback_certificate_expiry_timestamp_seconds" [] "When the certificate of the encrypted transports ends, seconds since 1970";
    STORE_UP: Gauge "switchback_store_up" [] "0 while the state cannot be written: then no hook runs";
    STORE_BYTES: Gauge "switchback_store_size_bytes" ["file"] "Size of the files that keep the state and the history";
    STORE_WRITTEN: Gauge "switchback_store_write_timestamp_seconds" [] "When the state was last written, seconds since 1970";
    HISTORY_LOST: Counter "switchback_history_lost_entries_total" [] "Entries that the history could not keep because its disk was too slow or failed";
    TAP_ON: Gauge "switchback_dnstap_on" [] "1 while queries and answers are copied for dnstap or the query log";
    TAP_WRITTEN: Counter "switchback_dnstap_frames_total" [] "Frames of dnstap, or lines of the query log, that were written";
    TAP_LOST: Counter "switchback_dnstap_lost_total" [] "Queries that were not written: a buffer was full, or nobody takes them";
    ALERTS_SENT: Counter "switchback_alerts_delivered_total" ["receiver"] "Alerts that were delivered";
    ALERTS_LEFT_OUT: Counter "switchback_alerts_left_out_total" ["receiver"] "Alerts that were not delivered: over the rate, or too old";
    ALERTS_WAITING: Gauge "switchback_alerts_waiting" ["receiver"] "Alerts that wait to be delivered";
    ALERTS_FAILING: Gauge "switchback_alerts_failing" ["receiver"] "1 while deliveries to a receiver fail, else 0";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_conventions() {
        for Family {
            name, kind, help, ..
        } in CATALOGUE
        {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"));
            assert!(!help.ends_with('.'), "{name}: one phrase, no full stop");
        }
        let mut names: Vec<_> = CATALOGUE.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
    }
}
