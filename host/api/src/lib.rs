//! The Kubernetes types of rdd and the generator of their CRDs.
