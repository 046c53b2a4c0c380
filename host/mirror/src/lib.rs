//! Mirrors engine state as Kubernetes objects, and carries deletions and actions back.
