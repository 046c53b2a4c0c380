//! A container engine as Kubernetes objects, its logs over WebSockets.

fn main() {}
