//! Roles and bindings: those that exist in each cluster, and the controller that puts
//! them in force.

pub(super) mod bootstrap;

mod bootstrap_roles;
mod controller;

pub(super) use controller::start;
