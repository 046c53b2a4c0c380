//! The example in C.

use rdd_plugin_contract::BackendLimits;

use crate::common_tests::tests_of_example;
use crate::support;

tests_of_example!("c", "toy-c", inspections: 10_000);
