//! Where the logs go, standard error, and the traces, to an OTLP collector when one is set.
//!
//! Traces leave on a thread of the SDK's own, over HTTP with the program's own TLS. A collector that is slow or away costs spans,
//! never a request: the queue before it is bounded, and what does not fit is dropped.
//!
//! Invariant: standard output belongs to the commands' answers. Only spans are exported, only ours, and no event with them, so that
//! what a log line may tell an operator does not leave the house.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::settings::{BadSettings, LogFormat, LogSettings, Settings, TelemetrySettings};

/// Libraries that tell what we tell ourselves; the setting may ask for them.
const QUIET: &str = "actix_server=warn,sea_orm_migration=warn";

/// Whose spans are exported.
const OURS: [&str; 5] = ["api", "app", "keys", "server", "storage"];

/// How long one delivery to the collector may take, and how long the end of the process waits for the last ones.
const DELIVERY: Duration = Duration::from_secs(5);
const FLUSH: Duration = Duration::from_secs(5);
/// A collector that stays away is told of this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(300);

/// Logging and tracing of this process. Ends by [`Telemetry::stop`].
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging, and the export of traces if a collector is set. A second call in one process changes nothing.
    ///
    /// # Errors
    /// When the exporter does not take its settings.
    pub fn start(settings: &Settings) -> Result<Self, BadSettings> {
        let traces = exporter(&settings.telemetry)?.map(|exporter| provider(&settings.telemetry, exporter));
        let layer = traces.as_ref().map(|traces| {
            let tracer: SdkTracer = traces.tracer("claviger");
            let is_ours = filter_fn(|metadata| {
                metadata.is_span() && metadata.target().split("::").next().is_some_and(|package| OURS.contains(&package))
            });
            // Neither the names of our files and threads nor how long a task lay idle helps whoever reads a trace.
            let layer = tracing_opentelemetry::layer().with_tracer(tracer);
            layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_filter(is_ours.and(LevelFilter::DEBUG))
        });
        // An error says that logging was started before, by a test for example.
        let _ = tracing_subscriber::registry().with(logs(&settings.log)).with(layer).try_init();
        Ok(Self { traces })
    }

    /// Sends what has not been sent, for at most five seconds.
    pub async fn stop(self) {
        let Some(traces) = self.traces else { return };
        match tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans did not reach the collector"),
            Err(error) => tracing::warn!(%error, "the export of spans did not end in order"),
        }
    }
}

/// Logging for a command that serves nobody.
pub(crate) fn start_logs(settings: &LogSettings) {
    let _ = tracing_subscriber::registry().with(logs(settings)).try_init();
}

/// Makes `span` part of the trace that a `traceparent` names; one that cannot be read begins a new trace.
/// Source: W3C Trace Context, 3.2.
pub(crate) fn follow(span: &tracing::Span, traceparent: &str) {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    // An error says that nothing is exported.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
}

fn logs<S>(settings: &LogSettings) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let filter = format!("{QUIET},{}", settings.level).parse::<Targets>().unwrap_or_default();
    let logs = match settings.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
        LogFormat::Pretty => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            fmt::layer().with_ansi(is_terminal).with_target(false).with_writer(std::io::stderr).boxed()
        }
    };
    logs.with_filter(filter)
}

fn exporter(settings: &TelemetrySettings) -> Result<Option<Watched>, BadSettings> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&settings.otlp_endpoint)
        .with_headers(settings.headers().unwrap_or_default())
        .with_timeout(DELIVERY)
        .build()
        .map_err(|error| BadSettings::new(format!("`telemetry.otlp_endpoint` cannot be used: {error}")))?;
    Ok(Some(Watched { exporter, complaint: Mutex::default() }))
}

fn provider(settings: &TelemetrySettings, exporter: Watched) -> SdkTracerProvider {
    let resource = Resource::builder_empty()
        .with_service_name(settings.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio)));
    SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler).with_batch_exporter(exporter).build()
}

/// An exporter whose failures are told once in a while.
#[derive(Debug)]
struct Watched {
    exporter: SpanExporter,
    complaint: Mutex<Complaint>,
}

/// Spans that were lost since the last word about it.
#[derive(Debug, Default)]
struct Complaint {
    lost: usize,
    said: Option<Instant>,
}

impl Complaint {
    /// Counts spans that were lost; answers how many there are to tell of, when it is time to.
    fn lost(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.lost += spans;
        if self.said.is_some_and(|said| now.duration_since(said) < COMPLAIN_EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.lost))
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported {
            let to_tell = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).lost(spans, Instant::now());
            if let Some(lost) = to_tell {
                tracing::warn!(%error, lost, "spans could not be sent to the collector; requests are not affected");
            }
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_stays_away_is_told_of_once_in_a_while() {
        let mut complaint = Complaint::default();
        let start = Instant::now();
        assert_eq!(complaint.lost(10, start), Some(10), "at once");
        assert_eq!(complaint.lost(20, start + COMPLAIN_EVERY / 2), None);
        assert_eq!(complaint.lost(30, start + COMPLAIN_EVERY), Some(50), "with all that were lost since");
        assert_eq!(complaint.lost(1, start + COMPLAIN_EVERY), None);
    }
}
