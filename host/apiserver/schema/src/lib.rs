//! Structural schemas: parse, default, prune, validate, CEL rules.
