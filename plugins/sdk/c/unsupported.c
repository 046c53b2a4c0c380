// The calls that a backend in C need not define. The contract exports an interface
// as a whole, but the host calls only what has a capability in the description. So
// these are never called; a definition in the backend replaces the one here.

#include <stdlib.h>

#include "backend.h"

// The parameters are part of the type and are not used.
#pragma clang diagnostic ignored "-Wunused-parameter"

#define UNSUPPORTED(call, ...)                                                                        \
  __attribute__((weak)) backend_callback_code_t exports_##call(__VA_ARGS__) { abort(); }              \
  __attribute__((weak)) backend_callback_code_t exports_##call##_callback(backend_event_t *event) {   \
    abort();                                                                                          \
  }

UNSUPPORTED(logs_get_logs, exports_logs_container_ref_t *container, exports_logs_log_options_t *options,
            exports_engine_future_void_t stop)
UNSUPPORTED(logs_get_entries, exports_logs_container_ref_t *container, exports_logs_entry_options_t *options,
            exports_engine_future_void_t stop)
UNSUPPORTED(lifecycle_act, exports_lifecycle_container_ref_t *container, exports_lifecycle_action_t action,
            exports_engine_future_void_t stop)
UNSUPPORTED(lifecycle_remove, exports_lifecycle_removal_t *removal, exports_engine_future_void_t stop)
UNSUPPORTED(lifecycle_create_container, exports_lifecycle_container_spec_t *spec, exports_engine_future_void_t stop)
UNSUPPORTED(lifecycle_create_volume, exports_lifecycle_volume_spec_t *spec, exports_engine_future_void_t stop)
UNSUPPORTED(processes_exec, exports_processes_container_ref_t *container, exports_processes_exec_options_t *options,
            exports_processes_stream_u8_t input, exports_processes_stream_terminal_size_t resizes,
            exports_engine_future_void_t stop)
UNSUPPORTED(images_pull, exports_images_pull_spec_t *spec, exports_engine_future_void_t stop)
UNSUPPORTED(images_push, exports_images_push_spec_t *spec, exports_engine_future_void_t stop)
