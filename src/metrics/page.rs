//! Values by name and labels, and how they are written.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use super::catalogue::{CATALOGUE, Family, Kind};
use crate::time::Wall;

/// A metric has so many series at most; others are left out, and counted.
const SERIES: usize = 10_000;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A histogram: each bound with what is between it and the one below.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    pub(super) sum: f64,
    pub(super) count: u64,
    pub(super) buckets: Vec<(f64, u64)>,
}

#[derive(Debug)]
enum Value {
    Count(u64),
    Number(f64),
    Histogram(Histogram),
}

#[derive(Debug)]
struct Series {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

/// All values at one moment.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// In the order in which they were filled.
    series: Vec<(&'static str, Vec<Series>)>,
    left_out: usize,
}

impl Page {
    /// A counter.
    pub(super) fn count(&mut self, family: &'static Family, labels: &[&str], value: u64) {
        self.put(family, labels, Value::Count(value));
    }

    /// A gauge, or a counter of parts.
    pub(super) fn number(&mut self, family: &'static Family, labels: &[&str], value: f64) {
        self.put(family, labels, Value::Number(value));
    }

    /// A gauge that is 1 or 0.
    pub(super) fn flag(&mut self, family: &'static Family, labels: &[&str], value: bool) {
        self.number(family, labels, f64::from(u8::from(value)));
    }

    /// A gauge that counts things.
    pub(super) fn many(&mut self, family: &'static Family, labels: &[&str], value: u64) {
        self.number(family, labels, float(value));
    }

    /// A gauge that is a point in time.
    pub(super) fn at(&mut self, family: &'static Family, labels: &[&str], at: Option<Wall>) {
        if let Some(at) = at {
            self.number(family, labels, float(at.0) / 1000.0);
        }
    }

    pub(super) fn histogram(&mut self, family: &'static Family, labels: &[&str], value: Histogram) {
        self.put(family, labels, Value::Histogram(value));
    }

    /// How many series were left out.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    fn put(&mut self, family: &'static Family, labels: &[&str], value: Value) {
        debug_assert_eq!(family.labels.len(), labels.len(), "{}", family.name);
        let known = self
            .series
            .iter()
            .position(|(name, _)| *name == family.name);
        let at = known.unwrap_or_else(|| {
            self.series.push((family.name, Vec::new()));
            self.series.len() - 1
        });
        let series = &mut self.series[at].1;
        if series.len() >= SERIES {
            self.left_out += 1;
            return;
        }
        let labels = labels.iter().map(|label| (*label).to_owned());
        series.push(Series {
            labels: family.labels.iter().copied().zip(labels).collect(),
            value,
        });
    }

    /// The page as it is scraped.
    ///
    /// # Errors
    /// What the encoder says; text always has room.
    pub(super) fn write(self, format: Format) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        match format {
            Format::Prometheus => prometheus_text::encode(&mut page, &registry)?,
            Format::OpenMetrics => text::encode(&mut page, &registry)?,
        }
        Ok(page)
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in CATALOGUE {
            let Some((name, series)) = self.series.iter().find(|(name, _)| *name == family.name)
            else {
                continue;
            };
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            // The encoder adds what a counter's name ends with.
            let name = match family.kind {
                Kind::Counter => name.trim_end_matches("_total"),
                Kind::Gauge | Kind::Histogram => name,
            };
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for one in series {
                if one.labels.is_empty() {
                    write_value(&mut metric, family.kind, &one.value)?;
                } else {
                    let mut labelled = metric.encode_family(&one.labels)?;
                    write_value(&mut labelled, family.kind, &one.value)?;
                }
            }
        }
        Ok(())
    }
}

fn write_value(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    let none: Option<&Exemplar<Vec<(String, String)>, f64>> = None;
    match (kind, value) {
        (Kind::Counter, Value::Count(value)) => metric.encode_counter(value, none),
        (Kind::Counter, Value::Number(value)) => metric.encode_counter(value, none),
        (_, Value::Count(value)) => metric.encode_gauge(&float(*value)),
        (_, Value::Number(value)) => metric.encode_gauge(value),
        (_, Value::Histogram(value)) => {
            let Histogram {
                sum,
                count,
                buckets,
            } = value;
            metric.encode_histogram::<Vec<(String, String)>>(*sum, *count, buckets, None)
        }
    }
}

/// A count as the formats have it: all numbers are floating ones there.
#[allow(
    clippy::cast_precision_loss,
    reason = "the formats know no other numbers; up to 2^53 nothing is lost"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{CPU, POOL_HEALTH, QUERIES};
    use super::*;

    #[test]
    fn both_formats_say_the_same_each_in_its_way() {
        let page = || {
            let mut page = Page::default();
            page.count(&QUERIES, &["udp", "A"], 7);
            page.number(&CPU, &[], 1.5);
            page.flag(&POOL_HEALTH, &["a\"b\\c\nd", "up"], true);
            page
        };
        let text = page().write(Format::Prometheus).unwrap();
        assert!(text.contains("# TYPE switchback_dns_queries_total counter\n"));
        assert!(text.contains("switchback_dns_queries_total{transport=\"udp\",type=\"A\"} 7\n"));
        assert!(text.contains("process_cpu_seconds_total 1.5\n"), "{text}");
        assert!(text.contains(r#"pool="a\"b\\c\nd""#), "{text}");
        assert!(!text.contains("EOF"));
        let open = page().write(Format::OpenMetrics).unwrap();
        assert!(open.contains("# TYPE switchback_dns_queries counter\n"));
        assert!(open.contains("switchback_dns_queries_total{transport=\"udp\",type=\"A\"} 7\n"));
        assert!(open.ends_with("# EOF\n"));
    }

    #[test]
    fn a_metric_with_too_many_series_is_cut_and_says_so() {
        let mut page = Page::default();
        for number in 0..SERIES + 3 {
            page.flag(&POOL_HEALTH, &[&number.to_string(), "up"], true);
        }
        assert_eq!(page.left_out(), 3);
    }
}
