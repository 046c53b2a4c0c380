//! Timestamps reported by an engine, in the format of the Kubernetes API.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Unit};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// The timestamp format of Kubernetes: RFC 3339 in UTC, whole seconds.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// A timestamp reported by an engine, serialized as a `date-time` like
/// [`Time`](crate::Time).
///
/// `Time` cannot be used: its range ends 26 hours before the year 9999 does,
/// and engines contain objects created at `9999-12-31T23:59:59Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineTime(DateTime);

impl EngineTime {
    /// Creates a timestamp from a date and time in UTC, truncated to the second.
    /// Returns `None` if RFC 3339 cannot represent the year.
    pub fn new(utc: DateTime) -> Option<Self> {
        let truncated = utc
            .round(
                jiff::civil::DateTimeRound::new()
                    .smallest(Unit::Second)
                    .mode(jiff::RoundMode::Floor),
            )
            .ok()?;
        (0..=9999)
            .contains(&truncated.year())
            .then_some(Self(truncated))
    }
}

impl Serialize for EngineTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = jiff::fmt::strtime::format(FORMAT, self.0).map_err(ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for EngineTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let parsed = || {
            let pieces = Pieces::parse(text.as_ref()).ok()?;
            let offset = pieces.to_numeric_offset()?;
            let local = pieces.date().to_datetime(pieces.time()?);
            let utc = local.checked_sub(SignedDuration::from_secs(offset.seconds().into()));
            Self::new(utc.ok()?)
        };
        parsed().ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"an RFC 3339 timestamp")
        })
    }
}

impl JsonSchema for EngineTime {
    fn schema_name() -> Cow<'static, str> {
        "EngineTime".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        crate::schema::time(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn years_0_to_9999_are_serialized_to_the_second() {
        for (input, serialized) in [
            ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00Z"),
            ("1066-10-14T09:00:00.999Z", "1066-10-14T09:00:00Z"),
            ("1969-12-31T23:59:59.5+01:00", "1969-12-31T22:59:59Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59Z"),
        ] {
            let time: EngineTime = serde_json::from_value(json!(input)).unwrap();
            assert_eq!(
                serde_json::to_value(time).unwrap(),
                json!(serialized),
                "{input}"
            );
        }
        for invalid in [
            "",
            "2026-01-31",
            "9999-12-31T23:59:59-01:00",
            "-000001-01-01T00:00:00Z",
        ] {
            assert!(
                serde_json::from_value::<EngineTime>(json!(invalid)).is_err(),
                "{invalid}"
            );
        }
    }
}
