//! Developer tasks: CRDs, plugins, fixtures.

fn main() {}
