//! Metrics under one prefix, in base units, with one table of buckets.

use std::{borrow::Cow, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        TypedMetric,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::exponential_buckets,
        info::Info,
    },
    registry::{Metric, Registry, Unit},
};

pub use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

/// Whole numbers: slots, bytes, counts.
pub type Whole = Gauge<u64, AtomicU64>;
/// Spans in seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// A counter that is kept elsewhere and shown here.
#[derive(Clone, Debug, Default)]
pub struct Shown(Counter);

impl Shown {
    /// It stands so high there.
    pub fn reach(&self, count: u64) {
        self.0.inc_by(count.saturating_sub(self.0.get()));
    }
}

impl From<Counter> for Shown {
    fn from(counter: Counter) -> Shown {
        Shown(counter)
    }
}

/// A label with its word.
type Label = [(&'static str, Cow<'static, str>); 1];

/// One metric for each word that its one label may say: few, or there would be no end of them.
#[derive(Clone, Debug)]
pub struct Words<M> {
    label: &'static str,
    family: Family<Label, M, fn() -> M>,
}

impl<M: Clone> Words<M> {
    /// The one of this word.
    pub fn of(&self, word: impl Into<Cow<'static, str>>) -> M {
        self.family.get_or_create_owned(&[(self.label, word.into())])
    }

    /// Shows the one of this word no more.
    pub fn remove(&self, word: impl Into<Cow<'static, str>>) {
        self.family.remove(&[(self.label, word.into())]);
    }
}

/// All metrics of one process, by name.
#[derive(Debug)]
pub struct Book(Registry);

impl Book {
    /// With nothing in it but which build runs. `labels` go with every metric.
    pub fn new(labels: Vec<(&'static str, String)>) -> Book {
        let labels = labels.into_iter().map(|(label, word)| (label.into(), word.into()));
        let mut registry = Registry::with_prefix_and_labels("synod", labels);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The build that runs", build);
        Book(registry)
    }

    /// A whole number that rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str) -> Whole {
        self.put(name, help, None, Whole::default())
    }

    /// Such a number for each word of a label.
    pub fn gauges_by(&mut self, label: &'static str, name: &str, help: &str) -> Words<Whole> {
        self.words(label, name, help, None, Whole::default)
    }

    /// Bytes that rise and fall.
    pub fn bytes(&mut self, name: &str, help: &str) -> Whole {
        self.put(name, help, Some(Unit::Bytes), Whole::default())
    }

    /// A span that rises and falls.
    pub fn seconds(&mut self, name: &str, help: &str) -> Seconds {
        self.put(name, help, Some(Unit::Seconds), Seconds::default())
    }

    /// Such a span for each word of a label.
    pub fn seconds_by(&mut self, label: &'static str, name: &str, help: &str) -> Words<Seconds> {
        self.words(label, name, help, Some(Unit::Seconds), Seconds::default)
    }

    /// What only ever grows.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.put(name, help, None, Counter::default())
    }

    /// The same, where it is counted elsewhere.
    pub fn shown(&mut self, name: &str, help: &str) -> Shown {
        Shown(self.counter(name, help))
    }

    /// A counter for each word of a label.
    pub fn counter_by(&mut self, label: &'static str, name: &str, help: &str) -> Words<Counter> {
        self.words(label, name, help, None, Counter::default)
    }

    /// How long things take.
    pub fn spans(&mut self, name: &str, help: &str) -> Histogram {
        self.put(name, help, Some(Unit::Seconds), buckets())
    }

    /// The same for each word of a label.
    pub fn spans_by(&mut self, label: &'static str, name: &str, help: &str) -> Words<Histogram> {
        self.words(label, name, help, Some(Unit::Seconds), buckets)
    }

    /// The same for each of a set of labels.
    pub(crate) fn spans_of<L>(
        &mut self,
        name: &str,
        help: &str,
    ) -> Family<L, Histogram, fn() -> Histogram>
    where
        L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::new_with_constructor(buckets as fn() -> Histogram);
        self.put(name, help, Some(Unit::Seconds), family)
    }

    /// When a certificate of this kind ends, in seconds since 1970.
    pub fn certificate_ends(&mut self, kind: &'static str, ends_at: i64) {
        let help = "When the process's certificate ends, since 1970";
        let name = "certificate_expiry_timestamp";
        let ends: Words<Gauge> =
            self.words("kind", name, help, Some(Unit::Seconds), Gauge::default);
        ends.of(kind).set(ends_at);
    }

    /// Everything, in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }

    fn words<M>(
        &mut self,
        label: &'static str,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        make: fn() -> M,
    ) -> Words<M>
    where
        M: Metric + TypedMetric + Clone,
        fn() -> M: MetricConstructor<M>,
    {
        let family = self.put(name, help, unit, Family::new_with_constructor(make));
        Words { label, family }
    }

    fn put<M: Metric + Clone>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        metric: M,
    ) -> M {
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, metric.clone()),
            None => self.0.register(name, help, metric.clone()),
        }
        metric
    }
}

/// 50 µs × 2ⁿ, up to 13 s: one table for every span, so that they can be compared.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 19))
}
