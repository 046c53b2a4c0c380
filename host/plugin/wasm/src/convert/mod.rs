//! Conversion between the types of the bindings and those of `rdd_core`. The
//! shapes are converted here; the rules are checked by
//! `rdd_plugin_contract::validation`.

mod from_guest;
mod object;
mod stream_item;
mod to_guest;

pub(crate) use from_guest::{backend_info, engine_error, inspection, watch_event};
pub(crate) use stream_item::StreamItem;
pub(crate) use to_guest::{
    to_action, to_container_ref, to_container_spec, to_entry_options, to_exec_options,
    to_log_options, to_object_ref, to_pull_spec, to_push_spec, to_removal, to_time, to_volume_spec,
};
