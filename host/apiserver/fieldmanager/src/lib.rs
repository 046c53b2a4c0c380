//! Server-side apply, managedFields, JSON patch and merge patch.
