//! The tokens of `rdd token create`: the controller watches their Secrets and
//! publishes a snapshot, which requests are authenticated by without waiting.

mod controller;
mod snapshot;

pub(crate) use controller::TokenController;
pub(crate) use snapshot::TokenReader;
