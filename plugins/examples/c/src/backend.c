// A backend for the toy engine: what the contract asks, in terms of the engine.
//
// To write a backend for another engine, replace what says `toy` here and in
// plugin.toml, and then the requests, wire.c, and objects.c.
//
// wit-bindgen turns each call into a function that returns to the host whenever
// it must wait, and a callback that the host calls when that is over. Here, all
// calls are one function, `run`, which is written as if it could wait: `AWAIT`
// returns to the host, and the next call of `run` continues behind it. What is
// needed behind an `AWAIT` is therefore in `call_t`, never in a local variable.

#include <stdlib.h>
#include <string.h>

#include "objects.h"

#define READ_BYTES (64 * 1024)
#define MAX_ITEM_BYTES (4 * 1024 * 1024)
#define MAX_BATCH_BYTES (64 * 1024)
#define MAX_BATCH_ENTRIES 4096

typedef exports_engine_result_void_error_t end_t;

// Something that the host may complete later: a read, a write, or a connect.
typedef struct {
  uint32_t handle;
  uint32_t status; // once it is complete
  bool is_pending;
} operation_t;

typedef enum { NEEDS_MORE, AGAIN, HAS_OUTPUT, IS_OVER } step_t;

typedef struct {
  enum { PING, INSPECT, WATCH, ENTRIES } kind;
  int line;                          // where `run` continues
  step_t step;
  uint32_t set;                      // what the host waits for on behalf of the call
  operation_t stop, connect, send, receive, respond, finish;
  request_t request;
  size_t sent;
  transport_result_tuple2_stream_u8_future_result_void_error_error_t connection;
  end_t closed;                      // why the connection ended
  bool is_connected, is_accepted, has_stream;
  uint8_t *buffer;                   // bytes of the engine
  size_t begin, end, capacity;       // the part of it that is not processed yet
  exports_engine_event_t event;      // what is being sent to the host
  backend_string_t raw;
  exports_logs_entry_batch_t batch;
  exports_logs_entry_header_t entry; // the entry that is added to the batch next
  const uint8_t *payload;
  end_t result;                      // of the call, or of its stream
} call_t;

// Waits until an operation is complete. If the host stops the call meanwhile,
// continues at the end of `run`.
#define AWAIT(operation)                                                         \
  do {                                                                           \
    call->line = __LINE__;                                                       \
    case __LINE__:                                                               \
    if (is_stopped(call)) {                                                      \
      fail(call, TYPES_ERROR_CODE_CANCELLED, "the host stopped the call");       \
      goto end;                                                                  \
    }                                                                            \
    if (call->operation.is_pending) return BACKEND_CALLBACK_CODE_WAIT(call->set); \
  } while (0)

// Lets the host do other work, even if there is always something to read.
#define YIELD()                          \
  do {                                   \
    call->line = __LINE__;               \
    return BACKEND_CALLBACK_CODE_YIELD;  \
    case __LINE__:;                      \
  } while (0)

// Registers an operation that was started, with its status.
static void start(call_t *call, operation_t *operation, uint32_t handle, uint32_t status, bool is_pending) {
  *operation = (operation_t){handle, status, is_pending};
  if (is_pending) backend_waitable_join(handle, call->set);
}

static void start_copy(call_t *call, operation_t *operation, uint32_t handle, uint32_t status) {
  start(call, operation, handle, status, status == BACKEND_WAITABLE_STATUS_BLOCKED);
}

static bool is_dropped(const operation_t *operation) {
  return BACKEND_WAITABLE_STATE(operation->status) == BACKEND_WAITABLE_DROPPED;
}

static bool is_stopped(const call_t *call) {
  return call->stop.handle && !call->stop.is_pending;
}

static void complete(call_t *call, const backend_event_t *event) {
  operation_t *all[] = {&call->stop, &call->connect, &call->send, &call->receive, &call->respond, &call->finish};
  if (event->event == BACKEND_EVENT_SUBTASK && BACKEND_SUBTASK_STATE(event->code) != BACKEND_SUBTASK_RETURNED) return;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i]->is_pending && all[i]->handle == event->waitable) {
      start(call, all[i], event->waitable, event->code, false);
      backend_waitable_join(event->waitable, 0);
    }
}

static void fail(call_t *call, uint8_t code, const char *message) {
  backend_string_set(&call->result.val.err.message, message);
  call->result.val.err.code.tag = code;
  call->result.is_err = true;
}

// The error of another engine than the one that this backend is for.
#define NOT_TOY "the engine's response does not begin with ok or error, as a toy engine's does; check the engine's URL"

// Fails with what the engine says in a line `error`.
static void fail_as(call_t *call, const line_t *line) {
  static const char *const codes[] = {
    "not-found", "invalid-argument", "conflict", "replaced", "permission-denied", "unavailable", "unsupported", "timeout",
  };
  static const uint8_t tags[] = {0, 1, 2, 3, 4, 5, 6, TYPES_ERROR_CODE_TIMEOUT};
  fail(call, TYPES_ERROR_CODE_INTERNAL, "");
  call->result.val.err.message = line->field[2];
  for (size_t i = 0; i < sizeof tags; i++)
    if (equals(line->field[1], codes[i])) call->result.val.err.code.tag = tags[i];
}

// Returns the result of the call, or a stream whose contents and end follow.
static void respond(call_t *call) {
  exports_engine_result_tuple2_stream_event_future_result_void_error_error_t watch = {.is_err = call->result.is_err};
  exports_logs_result_tuple2_stream_entry_batch_future_result_void_error_error_t entries = {.is_err = call->result.is_err};
  exports_engine_result_inspection_error_t inspection = {.is_err = call->result.is_err};
  watch.val.err = entries.val.err = inspection.val.err = call->result.val.err;
  call->has_stream = !call->result.is_err && (call->kind == WATCH || call->kind == ENTRIES);
  switch (call->kind) {
    case PING: exports_engine_ping_return(call->result); break;
    case INSPECT:
      if (!call->result.is_err) inspection.val.ok = (exports_engine_inspection_t){call->event.val.applied, call->raw};
      exports_engine_inspect_return(inspection);
      break;
    case WATCH:
      if (call->has_stream) {
        watch.val.ok.f0 = exports_engine_stream_event_new(&call->respond.handle);
        watch.val.ok.f1 = exports_engine_future_result_void_error_new(&call->finish.handle);
      }
      exports_engine_watch_return(watch);
      break;
    case ENTRIES:
      if (call->has_stream) {
        entries.val.ok.f0 = exports_logs_stream_entry_batch_new(&call->respond.handle);
        entries.val.ok.f1 = exports_logs_future_result_void_error_new(&call->finish.handle);
      }
      exports_logs_get_entries_return(entries);
      break;
  }
}

// Sends the event or the batch to the host.
static void start_respond(call_t *call) {
  uint32_t stream = call->respond.handle;
  start_copy(call, &call->respond, stream, call->kind == WATCH ? exports_engine_stream_event_write(stream, &call->event, 1)
                                                               : exports_logs_stream_entry_batch_write(stream, &call->batch, 1));
}

// Resolves the future that accompanies the stream.
static void start_finish(call_t *call) {
  uint32_t future = call->finish.handle;
  start_copy(call, &call->finish, future, call->kind == WATCH ? exports_engine_future_result_void_error_write(future, &call->result)
                                                              : exports_logs_future_result_void_error_write(future, (void *)&call->result));
}

static void start_receive(call_t *call) {
  memmove(call->buffer, call->buffer + call->begin, call->end - call->begin);
  call->end -= call->begin;
  call->begin = 0;
  if (call->capacity < call->end + READ_BYTES) {
    call->capacity = call->end + READ_BYTES + call->end / 2;
    call->buffer = realloc(call->buffer, call->capacity);
    if (!call->buffer) abort();
  }
  uint32_t stream = call->connection.val.ok.f0;
  start_copy(call, &call->receive, stream, transport_stream_u8_read(stream, call->buffer + call->end, READ_BYTES));
}

// Reads why the connection ended.
static void start_receive_end(call_t *call) {
  uint32_t future = call->connection.val.ok.f1;
  start_copy(call, &call->receive, future, transport_future_result_void_error_read(future, (void *)&call->closed));
}

static bool begins_with(const uint8_t *text, size_t size, const char *word) {
  return size >= strlen(word) && !memcmp(text, word, strlen(word));
}

// Adds the entry to the batch, unless it has no room.
static bool add_entry(call_t *call) {
  exports_logs_entry_batch_t *batch = &call->batch;
  if (batch->headers.len == MAX_BATCH_ENTRIES || batch->bytes.len + call->entry.length > MAX_BATCH_BYTES) return false;
  batch->headers.ptr[batch->headers.len++] = call->entry;
  memcpy(batch->bytes.ptr + batch->bytes.len, call->payload, call->entry.length);
  batch->bytes.len += call->entry.length;
  call->payload = NULL;
  return true;
}

static bool has_batch(const call_t *call) {
  return call->batch.headers.len || call->batch.gap.is_some;
}

static step_t process_entries(call_t *call, uint8_t *text, size_t line, size_t size) {
  if (call->payload && !add_entry(call)) return HAS_OUTPUT;
  backend_string_t length = {text + line, 0};
  if (begins_with(text, size, "entry\t")) {
    length.len = 0;
    for (length.ptr = text + line - 1; length.ptr[-1] != '\t'; length.ptr--) length.len++;
    int64_t bytes = parse_number(length);
    if (bytes > MAX_BATCH_BYTES) {
      fail(call, TYPES_ERROR_CODE_INTERNAL, "the engine sent an entry of more than 64 KiB");
      return IS_OVER;
    }
    if (size < line + (size_t)bytes) return has_batch(call) ? HAS_OUTPUT : NEEDS_MORE;
    line_t fields;
    split_line(text, &fields);
    call->entry = (exports_logs_entry_header_t){
      parse_number(fields.field[1]), (uint32_t)bytes,
      equals(fields.field[2], "stderr") | equals(fields.field[3], "part") << 1,
    };
    call->payload = text + line;
    call->begin += line + (size_t)bytes;
    return add_entry(call) ? AGAIN : HAS_OUTPUT;
  }
  if (has_batch(call)) return HAS_OUTPUT; // a gap or the end comes behind it
  line_t fields;
  split_line(text, &fields);
  call->begin += line;
  if (equals(fields.field[0], "done")) return IS_OVER;
  if (equals(fields.field[0], "gap")) {
    static const char *const reasons[] = {"rotated", "replaced", "lagged"};
    call->batch.gap = (exports_logs_option_gap_reason_t){true, 0};
    while (call->batch.gap.val < EXPORTS_LOGS_GAP_REASON_UNKNOWN && !equals(fields.field[1], reasons[call->batch.gap.val]))
      call->batch.gap.val++;
    return AGAIN;
  }
  fail_as(call, &fields);
  return IS_OVER;
}

static step_t process_change(call_t *call, uint8_t *text, size_t line, size_t size) {
  line_t fields;
  exports_engine_event_t *event = &call->event;
  backend_string_t raw;
  size_t block = line;
  if (begins_with(text, size, "begin\n")) {
    event->tag = EXPORTS_ENGINE_EVENT_INIT_BEGIN;
  } else if (begins_with(text, size, "ready\n")) {
    event->tag = EXPORTS_ENGINE_EVENT_INIT_DONE;
  } else if (begins_with(text, size, "error\t")) {
    split_line(text, &fields);
    fail_as(call, &fields);
    return IS_OVER;
  } else if (begins_with(text, size, "removed\t")) {
    split_line(text, &fields);
    event->tag = EXPORTS_ENGINE_EVENT_REMOVED;
    event->val.removed = (types_object_ref_t){(types_object_kind_t)parse_kind(fields.field[1]), fields.field[2], fields.field[3]};
  } else {
    block = block_size(text, size);
    if (!block) return NEEDS_MORE;
    event->tag = EXPORTS_ENGINE_EVENT_APPLIED;
    if (!parse_object(text, &event->val.applied, &raw)) {
      fail(call, TYPES_ERROR_CODE_INTERNAL, "the engine sent an object of an unknown kind");
      return IS_OVER;
    }
  }
  call->begin += block;
  return HAS_OUTPUT;
}

// Processes the next item of the response, if the whole item was received.
static step_t process(call_t *call) {
  uint8_t *text = call->buffer + call->begin;
  size_t size = call->end - call->begin, line = line_size(text, size);
  line_t fields;
  if (size > MAX_ITEM_BYTES) {
    fail(call, TYPES_ERROR_CODE_INTERNAL, "the engine sent an item of more than 4 MiB");
    return IS_OVER;
  }
  if (!line) return call->kind == ENTRIES && has_batch(call) ? HAS_OUTPUT : NEEDS_MORE;
  if (!call->is_accepted) {
    split_line(text, &fields);
    call->begin += line;
    call->is_accepted = equals(fields.field[0], "ok");
    if (equals(fields.field[0], "error")) fail_as(call, &fields);
    else if (!call->is_accepted) fail(call, TYPES_ERROR_CODE_INTERNAL, NOT_TOY);
    if (!call->is_accepted || call->kind == PING) return IS_OVER;
    if (call->kind != INSPECT) respond(call);
    return AGAIN;
  }
  switch (call->kind) {
    case ENTRIES: return process_entries(call, text, line, size);
    case WATCH: return process_change(call, text, line, size);
    default:
      if (!block_size(text, size)) return NEEDS_MORE;
      if (!parse_object(text, &call->event.val.applied, &call->raw))
        fail(call, TYPES_ERROR_CODE_INTERNAL, "the engine sent an object of an unknown kind");
      call->event.tag = EXPORTS_ENGINE_EVENT_APPLIED;
      return IS_OVER;
  }
}

// Forgets what was sent to the host.
static void clear_output(call_t *call) {
  if (call->event.tag == EXPORTS_ENGINE_EVENT_APPLIED) free_lists(&call->event.val.applied);
  call->event.tag = EXPORTS_ENGINE_EVENT_INIT_BEGIN;
  call->batch.headers.len = call->batch.bytes.len = 0;
  call->batch.gap.is_some = false;
}

// Returns whether the operation must be canceled, which it cannot be while the host
// waits for it.
static bool detach(operation_t *operation) {
  if (!operation->is_pending) return false;
  backend_waitable_join(operation->handle, 0);
  operation->is_pending = false;
  return true;
}

static void close_connection(call_t *call) {
  if (detach(&call->connect)) backend_subtask_cancel(call->connect.handle);
  if (call->connect.handle) backend_subtask_drop(call->connect.handle);
  if (detach(&call->send)) transport_stream_u8_cancel_write(call->send.handle);
  transport_stream_u8_drop_writable(call->send.handle);
  if (!call->is_connected) return;
  uint32_t stream = call->connection.val.ok.f0, end = call->connection.val.ok.f1;
  if (detach(&call->receive)) {
    if (call->receive.handle == stream) transport_stream_u8_cancel_read(stream);
    else transport_future_result_void_error_cancel_read(end);
  }
  transport_stream_u8_drop_readable(stream);
  transport_future_result_void_error_drop_readable(end);
}

static void close_stream(call_t *call) {
  uint32_t stream = call->respond.handle;
  bool is_pending = detach(&call->respond);
  if (call->kind == WATCH) {
    if (is_pending) exports_engine_stream_event_cancel_write(stream);
    exports_engine_stream_event_drop_writable(stream);
  } else {
    if (is_pending) exports_logs_stream_entry_batch_cancel_write(stream);
    exports_logs_stream_entry_batch_drop_writable(stream);
  }
}

static void close_call(call_t *call) {
  if (call->has_stream && call->kind == WATCH) exports_engine_future_result_void_error_drop_writable(call->finish.handle);
  if (call->has_stream && call->kind == ENTRIES) exports_logs_future_result_void_error_drop_writable(call->finish.handle);
  if (detach(&call->stop)) exports_engine_future_void_cancel_read(call->stop.handle);
  if (call->stop.handle) exports_engine_future_void_drop_readable(call->stop.handle);
  backend_waitable_set_drop(call->set);
  clear_output(call);
  free(call->batch.headers.ptr);
  free(call->batch.bytes.ptr);
  free(call->request.ptr);
  free(call->buffer);
  free(call);
}

static backend_callback_code_t run(call_t *call) {
  switch (call->line) {
    case 0: {
      uint32_t reader = transport_stream_u8_new(&call->send.handle);
      uint32_t status = transport_connect(reader, &call->connection);
      start(call, &call->connect, BACKEND_SUBTASK_HANDLE(status), status, BACKEND_SUBTASK_STATE(status) != BACKEND_SUBTASK_RETURNED);
    }
      AWAIT(connect);
      if (call->connection.is_err) {
        call->result.is_err = true;
        call->result.val.err = call->connection.val.err;
        goto end;
      }
      call->is_connected = true;
      while (call->sent < call->request.size) {
        start_copy(call, &call->send, call->send.handle,
                   transport_stream_u8_write(call->send.handle, call->request.ptr + call->sent, call->request.size - call->sent));
        AWAIT(send);
        if (is_dropped(&call->send)) break;
        call->sent += BACKEND_WAITABLE_COUNT(call->send.status);
      }
      while ((call->step = process(call)) != IS_OVER) {
        if (call->step == HAS_OUTPUT) {
          start_respond(call);
          AWAIT(respond);
          if (is_dropped(&call->respond)) break;
          clear_output(call);
        } else if (call->step == NEEDS_MORE) {
          start_receive(call);
          AWAIT(receive);
          call->end += BACKEND_WAITABLE_COUNT(call->receive.status);
          if (is_dropped(&call->receive)) {
            start_receive_end(call);
            AWAIT(receive);
            call->result = call->closed;
            if (!call->closed.is_err) fail(call, TYPES_ERROR_CODE_UNAVAILABLE, "the engine closed the connection");
            break;
          }
          YIELD();
        }
      }
    end:
      close_connection(call);
      if (!call->has_stream) {
        respond(call);
      } else {
        close_stream(call);
        start_finish(call);
        call->line = -1;
        case -1:
          if (call->finish.is_pending) return BACKEND_CALLBACK_CODE_WAIT(call->set);
      }
      close_call(call);
  }
  return BACKEND_CALLBACK_CODE_EXIT;
}

static backend_callback_code_t resume(backend_event_t *event) {
  call_t *call = backend_context_get_0();
  if (event->event == BACKEND_EVENT_NONE) backend_waitable_set_poll(call->set, event); // after YIELD
  complete(call, event);
  return run(call);
}

// Begins a call that `stop` ends; 0 for a call that has none. The request follows.
static call_t *new_call(int kind, uint32_t stop, const char *verb) {
  call_t *call = allocate(sizeof *call);
  call->kind = kind;
  call->set = backend_waitable_set_new();
  if (stop) start_copy(call, &call->stop, stop, exports_engine_future_void_read(stop));
  backend_context_set_0(call);
  add_text(&call->request, verb);
  return call;
}

// Ends the request and runs the call.
static backend_callback_code_t send_request(call_t *call) {
  add_text(&call->request, "\n\n");
  return run(call);
}

void exports_engine_describe(exports_engine_backend_info_t *info) {
  static const char *const namespaces[] = {"main", "other"};
  backend_string_dup(&info->name, "toy-c");
  backend_string_dup(&info->version, "0.1.0");
  backend_string_dup(&info->engine, "Toy Engine");
  info->id_form.tag = EXPORTS_ENGINE_ID_FORM_IDENTIFIER;
  info->id_form.val.identifier = 64;
  info->namespaces.len = sizeof namespaces / sizeof *namespaces;
  info->namespaces.ptr = allocate(sizeof(backend_string_t) * info->namespaces.len);
  for (size_t i = 0; i < info->namespaces.len; i++) backend_string_dup(&info->namespaces.ptr[i], namespaces[i]);
  info->capabilities = EXPORTS_ENGINE_CAPABILITIES_ENTRIES | EXPORTS_ENGINE_CAPABILITIES_ENTRY_TIMES;
}

backend_callback_code_t exports_engine_watch(uint32_t stop) {
  return send_request(new_call(WATCH, stop, "watch"));
}

backend_callback_code_t exports_engine_ping(void) {
  return send_request(new_call(PING, 0, "ping"));
}

backend_callback_code_t exports_engine_inspect(types_object_ref_t *object, uint32_t stop) {
  call_t *call = new_call(INSPECT, stop, "inspect\t");
  add_text(&call->request, kind_names[object->kind]);
  add_field(&call->request, object->namespace_);
  add_field(&call->request, object->id);
  types_object_ref_free(object);
  return send_request(call);
}

static void add_time(request_t *request, const char *word, types_option_timestamp_t time) {
  if (!time.is_some) return;
  add_text(request, word);
  add_number(request, time.val.seconds * 1000000000 + time.val.nanoseconds);
}

backend_callback_code_t exports_logs_get_entries(types_container_ref_t *container, exports_logs_entry_options_t *options, uint32_t stop) {
  call_t *call = new_call(ENTRIES, stop, "logs");
  request_t *request = &call->request;
  add_field(request, container->namespace_);
  add_field(request, container->id);
  types_container_ref_free(container);
  if (options->follow) add_text(request, "\nfollow");
  if (options->stdout_) add_text(request, "\nstdout");
  if (options->stderr_) add_text(request, "\nstderr");
  if (options->tail.is_some) {
    add_text(request, "\ntail");
    add_number(request, (int64_t)options->tail.val);
  }
  add_time(request, "\nsince", *(types_option_timestamp_t *)&options->since);
  add_time(request, "\nuntil", *(types_option_timestamp_t *)&options->until);
  if (options->after.is_some) {
    add_text(request, "\nafter");
    add_number(request, options->after.val.time);
    add_number(request, options->after.val.index);
  }
  call->batch.headers.ptr = allocate(MAX_BATCH_ENTRIES * sizeof(exports_logs_entry_header_t));
  call->batch.bytes.ptr = allocate(MAX_BATCH_BYTES);
  return send_request(call);
}

backend_callback_code_t exports_engine_watch_callback(backend_event_t *event) { return resume(event); }
backend_callback_code_t exports_engine_ping_callback(backend_event_t *event) { return resume(event); }
backend_callback_code_t exports_engine_inspect_callback(backend_event_t *event) { return resume(event); }
backend_callback_code_t exports_logs_get_entries_callback(backend_event_t *event) { return resume(event); }
