//! Prints the generated CRDs as a JSON array, for `cargo xtask crds`.

use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = serde_json::to_vec(&rdd_api::crds())?;
    std::io::stdout().write_all(&json)?;
    Ok(())
}
