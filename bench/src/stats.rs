//! Medians and percentiles of measurements.

use std::time::Duration;

/// The measured values of one quantity, in order.
#[derive(Default)]
pub(crate) struct SampleSet(Vec<f64>);

impl SampleSet {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64());
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the value that `share` of the samples do not exceed. NaN without
    /// samples.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into thousands of values at most"
        )]
        let index = ((last as f64) * share).ceil() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let mut sample = SampleSet::default();
        for value in [5.0, 1.0, 3.0, 2.0, 4.0] {
            sample.add(value);
        }
        assert_eq!(sample.median(), 3.0);
        assert_eq!(sample.percentile(0.99), 5.0);
        assert_eq!(sample.percentile(0.0), 1.0);
    }

    #[test]
    fn the_median_without_values_is_nan() {
        assert!(SampleSet::default().median().is_nan());
    }
}
