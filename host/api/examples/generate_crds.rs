//! Prints the generated objects of `crds/`, for `cargo xtask crds`: a JSON object
//! from the name of each file, without its extension, to the objects in it.

use std::collections::BTreeMap;
use std::io::Write as _;

use kube::ResourceExt as _;
use serde_json::{Value, to_value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for crd in rdd_api::crds() {
        files.insert(crd.name_any(), vec![to_value(&crd)?]);
    }
    for bound in rdd_api::admission_policies() {
        let objects = vec![to_value(&bound.policy)?, to_value(&bound.binding)?];
        files.insert(format!("policy.{}", bound.policy.name_any()), objects);
    }
    std::io::stdout().write_all(&serde_json::to_vec(&files)?)?;
    Ok(())
}
