//! The JSON schemas of all messages, in `docs/schemas`.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schemars::{JsonSchema, schema_for};

    use crate::log_format::messages::LogMessage;
    use crate::mux::{ClientMessage, ServerMessage};

    /// Compares a file with the schema of its type. `RDD_WRITE_SCHEMAS=1` writes
    /// it.
    fn check<T: JsonSchema>(file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/schemas")
            .join(file);
        let schema = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
        if std::env::var_os("RDD_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, schema,
            "docs/schemas/{file} differs; run: RDD_WRITE_SCHEMAS=1 cargo test -p rdd-passthrough schemas"
        );
    }

    #[test]
    fn the_schemas_describe_the_messages() {
        check::<LogMessage<'_>>("log-message.json");
        check::<ClientMessage>("mux-client-message.json");
        check::<ServerMessage<'_>>("mux-server-message.json");
    }
}
