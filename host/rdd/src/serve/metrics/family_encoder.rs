//! Encodes families of metrics whose values are read at each request.

use std::fmt::Error;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
    MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

/// The name, the unit, and the meaning of a family. The encoder appends the unit
/// and `_total` to the name.
#[derive(Clone, Copy, Debug)]
pub(super) struct FamilyDescription {
    pub(super) name: &'static str,
    pub(super) unit: Option<&'static Unit>,
    pub(super) help: &'static str,
}

/// Describes a family without a unit.
pub(super) const fn family(name: &'static str, help: &'static str) -> FamilyDescription {
    FamilyDescription {
        name,
        unit: None,
        help,
    }
}

/// Describes a family in bytes.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> FamilyDescription {
    FamilyDescription {
        name,
        unit: Some(&Unit::Bytes),
        help,
    }
}

/// Describes a family in seconds.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> FamilyDescription {
    FamilyDescription {
        name,
        unit: Some(&Unit::Seconds),
        help,
    }
}

/// Encodes families. One without samples is described, too.
pub(super) struct FamilyEncoder<'a>(pub(super) DescriptorEncoder<'a>);

impl FamilyEncoder<'_> {
    /// Encodes a family of gauges.
    pub(super) fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        description: FamilyDescription,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> Result<(), Error> {
        let mut encoder = self.describe(description, MetricType::Gauge)?;
        for (labels, value) in samples {
            encoder.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// Encodes one gauge without labels, if there is a value.
    pub(super) fn gauge<V: EncodeGaugeValue>(
        &mut self,
        description: FamilyDescription,
        value: Option<V>,
    ) -> Result<(), Error> {
        let mut encoder = self.describe(description, MetricType::Gauge)?;
        value.map_or(Ok(()), |value| encoder.encode_gauge(&value))
    }

    /// Encodes a family of counters.
    pub(super) fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        description: FamilyDescription,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> Result<(), Error> {
        let mut encoder = self.describe(description, MetricType::Counter)?;
        for (labels, value) in samples {
            encoder
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// Encodes a family of histograms.
    pub(super) fn histograms<'h, L: EncodeLabelSet>(
        &mut self,
        description: FamilyDescription,
        samples: impl IntoIterator<Item = (L, &'h Histogram)>,
    ) -> Result<(), Error> {
        let mut encoder = self.describe(description, MetricType::Histogram)?;
        for (labels, histogram) in samples {
            histogram.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// Encodes a metric of the library, if there is one.
    pub(super) fn metric<M: EncodeMetric>(
        &mut self,
        description: FamilyDescription,
        metric_type: MetricType,
        metric: Option<&M>,
    ) -> Result<(), Error> {
        let encoder = self.describe(description, metric_type)?;
        metric.map_or(Ok(()), |metric| metric.encode(encoder))
    }

    fn describe(
        &mut self,
        FamilyDescription { name, unit, help }: FamilyDescription,
        metric_type: MetricType,
    ) -> Result<MetricEncoder<'_>, Error> {
        self.0.encode_descriptor(name, help, unit, metric_type)
    }
}
