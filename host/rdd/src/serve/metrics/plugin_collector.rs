//! The metrics of the plugins. A plugin that was removed has none.

use std::fmt::{Debug, Error, Formatter};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rdd_plugin::{CallMethod, PluginSample, PluginState};

use super::family_encoder::{FamilyEncoder, bytes, family, seconds};

/// The states of a plugin, in the order of the documentation.
const STATES: [PluginState; 6] = [
    PluginState::Loading,
    PluginState::Ready,
    PluginState::Restarting,
    PluginState::Failed,
    PluginState::Refused,
    PluginState::Disabled,
];

/// Collects the metrics of the plugins at each request.
pub(super) struct PluginCollector {
    samples: Box<dyn Fn() -> Vec<PluginSample> + Send + Sync>,
}

impl Debug for PluginCollector {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginCollector").finish_non_exhaustive()
    }
}

impl PluginCollector {
    pub(super) fn new(samples: impl Fn() -> Vec<PluginSample> + Send + Sync + 'static) -> Self {
        Self {
            samples: Box::new(samples),
        }
    }
}

/// The label with the name of a plugin.
fn plugin(sample: &PluginSample) -> (&'static str, &str) {
    ("plugin", &sample.name)
}

impl Collector for PluginCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let samples = (self.samples)();
        let encoder = &mut FamilyEncoder(encoder);
        encode_lifecycle(encoder, &samples)?;
        encode_calls(encoder, &samples)?;
        encode_streams(encoder, &samples)?;
        encode_resources(encoder, &samples)
    }
}

/// Loads, states, ends, and restarts.
fn encode_lifecycle(
    encoder: &mut FamilyEncoder<'_>,
    samples: &[PluginSample],
) -> Result<(), Error> {
    let names: Vec<(PluginState, String)> = STATES
        .iter()
        .map(|state| (*state, state.to_string()))
        .collect();
    encoder.gauges(
        family(
            "rdd_plugin_state",
            "1 for the state of the plugin, 0 for the others",
        ),
        samples.iter().flat_map(|sample| {
            names.iter().map(|(state, name)| {
                let labels = [plugin(sample), ("state", name.as_str())];
                (labels, i64::from(sample.state == *state))
            })
        }),
    )?;
    encoder.counters(
        family(
            "rdd_plugin_loads",
            "Loads of the plugin's file by their result",
        ),
        samples.iter().flat_map(|sample| {
            let metrics = &sample.metrics;
            [("ok", &metrics.loads), ("error", &metrics.load_failures)]
                .map(|(result, count)| ([plugin(sample), ("result", result)], count.get()))
        }),
    )?;
    encoder.gauges(
        seconds(
            "rdd_plugin_load_duration",
            "Duration of the latest load, with the compilation",
        ),
        samples.iter().map(|sample| {
            (
                [plugin(sample)],
                sample.metrics.load_duration().as_secs_f64(),
            )
        }),
    )?;
    encoder.counters(
        family(
            "rdd_plugin_exits",
            "Ends of the backend's control instance by their reason",
        ),
        samples.iter().flat_map(|sample| {
            let exits = sample.metrics.exits();
            exits.map(|(reason, count)| ([plugin(sample), ("reason", reason)], count))
        }),
    )?;
    encoder.counters(
        family(
            "rdd_plugin_restarts",
            "Restarts of the backend by the reason of the end before",
        ),
        samples.iter().flat_map(|sample| {
            let restarts = sample.metrics.restarts();
            restarts.map(|(reason, count)| ([plugin(sample), ("reason", reason)], count))
        }),
    )
}

/// Calls and the errors of streams.
fn encode_calls(encoder: &mut FamilyEncoder<'_>, samples: &[PluginSample]) -> Result<(), Error> {
    let methods = || {
        samples.iter().flat_map(|sample| {
            CallMethod::ALL
                .iter()
                .map(move |(method, name)| (sample, *name, sample.metrics.method(*method)))
        })
    };
    encoder.counters(
        family("rdd_plugin_calls", "Completed calls by method and result"),
        methods().flat_map(|(sample, method, metrics)| {
            metrics.results().map(move |(result, count)| {
                let labels = [plugin(sample), ("method", method), ("result", result)];
                (labels, count)
            })
        }),
    )?;
    encoder.histograms(
        seconds(
            "rdd_plugin_call_duration",
            "Time until the result of a call, or until its stream was opened",
        ),
        methods()
            .filter(|(_, _, metrics)| metrics.results().next().is_some())
            .map(|(sample, method, metrics)| {
                ([plugin(sample), ("method", method)], &metrics.duration)
            }),
    )?;
    encoder.counters(
        family(
            "rdd_plugin_stream_failures",
            "Open streams that ended with an error",
        ),
        methods().flat_map(|(sample, method, metrics)| {
            metrics.failures().map(move |(result, count)| {
                let labels = [plugin(sample), ("method", method), ("result", result)];
                (labels, count)
            })
        }),
    )?;
    encoder.gauges(
        family(
            "rdd_plugin_active_calls",
            "Calls in the control instance that have not ended",
        ),
        gauge(samples, |sample| sample.usage.calls),
    )?;
    encoder.gauges(
        family(
            "rdd_plugin_waiting_calls",
            "Calls that wait for others to end",
        ),
        samples.iter().flat_map(|sample| {
            let metrics = &sample.metrics;
            [
                ("read", &metrics.waiting_reads),
                ("change", &metrics.waiting_changes),
            ]
            .map(|(kind, waiting)| ([plugin(sample), ("kind", kind)], to_i64(waiting.get())))
        }),
    )
}

/// What streams deliver, and how many there are.
fn encode_streams(encoder: &mut FamilyEncoder<'_>, samples: &[PluginSample]) -> Result<(), Error> {
    encoder.gauges(
        family("rdd_plugin_streams", "Open streams"),
        samples.iter().flat_map(|sample| {
            let usage = &sample.usage;
            [
                ("watch", usage.watches),
                ("log", usage.log_streams),
                ("exec", usage.execs),
                ("transfer", usage.transfers),
            ]
            .map(|(kind, count)| ([plugin(sample), ("kind", kind)], to_i64(count)))
        }),
    )?;
    encoder.counters(
        bytes(
            "rdd_plugin_delivered",
            "Bytes that streams delivered to their readers",
        ),
        samples.iter().flat_map(|sample| {
            let metrics = &sample.metrics;
            [("log", &metrics.log_bytes), ("exec", &metrics.exec_bytes)]
                .map(|(kind, count)| ([plugin(sample), ("kind", kind)], count.get()))
        }),
    )?;
    encoder.counters(
        family("rdd_plugin_watch_events", "Events that watches delivered"),
        samples
            .iter()
            .map(|sample| ([plugin(sample)], sample.metrics.watch_events.get())),
    )?;
    encoder.gauges(
        family(
            "rdd_plugin_queued_events",
            "Events of the watch that have not been taken",
        ),
        gauge(samples, |sample| sample.metrics.queued_events.get()),
    )
}

/// Connections, memory, and time.
fn encode_resources(
    encoder: &mut FamilyEncoder<'_>,
    samples: &[PluginSample],
) -> Result<(), Error> {
    encoder.gauges(
        family("rdd_plugin_connections", "Open connections to the engine"),
        gauge(samples, |sample| sample.usage.connections),
    )?;
    encoder.gauges(
        family("rdd_plugin_timers", "Timers of the control instance"),
        gauge(samples, |sample| sample.usage.sleeps),
    )?;
    encoder.counters(
        bytes("rdd_plugin_engine_received", "Bytes that the engine sent"),
        samples
            .iter()
            .map(|sample| ([plugin(sample)], sample.metrics.received_bytes.get())),
    )?;
    encoder.counters(
        bytes("rdd_plugin_engine_sent", "Bytes that the engine was sent"),
        samples
            .iter()
            .map(|sample| ([plugin(sample)], sample.metrics.sent_bytes.get())),
    )?;
    encoder.counters(
        seconds("rdd_plugin_guest", "Time for which code of the backend ran"),
        samples
            .iter()
            .map(|sample| ([plugin(sample)], sample.metrics.guest_time().as_secs_f64())),
    )?;
    encoder.gauges(
        bytes(
            "rdd_plugin_memory",
            "Memory of the backend, and memory that the daemon holds for it",
        ),
        samples.iter().flat_map(|sample| {
            let usage = &sample.usage;
            [("guest", usage.memory_bytes), ("host", usage.held_bytes)]
                .map(|(holder, bytes)| ([plugin(sample), ("holder", holder)], to_i64(bytes)))
        }),
    )
}

/// Returns one gauge for each plugin.
fn gauge<'a>(
    samples: &'a [PluginSample],
    value: impl Fn(&PluginSample) -> usize + 'a,
) -> impl Iterator<Item = ([(&'static str, &'a str); 1], i64)> {
    samples
        .iter()
        .map(move |sample| ([plugin(sample)], to_i64(value(sample))))
}

fn to_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
