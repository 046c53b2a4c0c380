// A backend for the toy engine as a dynamic library: what the contract asks, in
// terms of the engine.
//
// To write a backend for another engine, replace what says `toy` here and in
// plugin.toml, and then the requests, exchange.c, and objects.c.

#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "json.h"
#include "objects.h"

#define MAX_BATCH_BYTES (64 * 1024)
#define MAX_BATCH_ENTRIES 4096

static const char description[] =
  "{\"name\":\"toy-c-library\",\"version\":\"0.1.0\",\"engine\":\"Toy Engine\","
  "\"id-form\":{\"identifier\":64},\"namespaces\":[\"main\",\"other\"],"
  "\"capabilities\":[\"entries\",\"entry-times\",\"actions\",\"removals\"]}";

struct rdd_instance {
  const rdd_host *host;
};

// ---- Calls -------------------------------------------------------------------

static void close_call(rdd_call *call) { close_exchange((exchange_t *)call); }

// A call whose response is nothing but `ok`.
static rdd_status poll_short(rdd_call *call, const rdd_waker *waker, rdd_bytes *result, rdd_error *error) {
  (void)result;
  return poll_accepted((exchange_t *)call, waker, error);
}

static rdd_status poll_inspect(rdd_call *call, const rdd_waker *waker, rdd_bytes *result, rdd_error *error) {
  exchange_t *exchange = (exchange_t *)call;
  rdd_status status = poll_accepted(exchange, waker, error);
  while (status == RDD_READY && !block_size(rest_of(exchange), rest_size(exchange)))
    status = poll_more(exchange, waker, error);
  if (status != RDD_READY) return status;
  rdd_bytes raw;
  buffer_t *json = &exchange->output;
  add_text(json, "{\"object\":");
  if (!add_object(json, rest_of(exchange), &raw))
    return fail(error, RDD_INTERNAL, "the engine sent an object of an unknown kind");
  add_text(json, ",\"raw\":");
  add_json_string(json, raw);
  add_text(json, "}");
  *result = (rdd_bytes){json->data, json->size};
  return RDD_READY;
}

static const rdd_call_vtable short_call = {.size = sizeof(rdd_call_vtable), .poll = poll_short, .close = close_call};
static const rdd_call_vtable inspect_call = {.size = sizeof(rdd_call_vtable), .poll = poll_inspect, .close = close_call};

// ---- Streams -----------------------------------------------------------------

static void close_stream(rdd_stream *stream) { close_exchange((exchange_t *)stream); }

static rdd_status poll_open(rdd_stream *stream, const rdd_waker *waker, rdd_error *error) {
  return poll_accepted((exchange_t *)stream, waker, error);
}

// Converts the next event, if all of it was received: RDD_READY, or RDD_PENDING.
static rdd_status take_event(exchange_t *exchange, rdd_error *error) {
  uint8_t *text = rest_of(exchange);
  size_t size = line_size(text, rest_size(exchange));
  if (!size) return RDD_PENDING;
  buffer_t *json = &exchange->output;
  json->size = 0;
  // The first word, without changing the line.
  rdd_bytes word = {text, 0};
  while (text[word.length] != '\t' && text[word.length] != '\n') word.length++;
  if (is_kind(word)) {
    rdd_bytes raw;
    size_t block = block_size(text, rest_size(exchange));
    if (!block) return RDD_PENDING;
    add_text(json, "{\"applied\":");
    add_object(json, text, &raw);
    add_text(json, "}");
    exchange->consumed += block;
    return RDD_READY;
  }
  line_t line;
  rdd_status status = take_line(exchange, &line, error);
  if (status != RDD_READY) return status;
  if (equals(line.field[0], "begin")) {
    add_text(json, "\"init-begin\"");
  } else if (equals(line.field[0], "ready")) {
    add_text(json, "\"init-done\"");
  } else if (equals(line.field[0], "removed")) {
    static const char *const keys[] = {"{\"removed\":{\"kind\":", ",\"namespace\":", ",\"id\":"};
    for (size_t i = 0; i < 3; i++) {
      add_text(json, keys[i]);
      add_json_string(json, line.field[i + 1]);
    }
    add_text(json, "}}");
  } else {
    return fail(error, RDD_INTERNAL, "the engine sent no event");
  }
  return RDD_READY;
}

static rdd_status poll_event(rdd_stream *stream, const rdd_waker *waker, rdd_item *item, rdd_error *error) {
  exchange_t *exchange = (exchange_t *)stream;
  rdd_status status;
  while ((status = take_event(exchange, error)) == RDD_PENDING) {
    status = poll_more(exchange, waker, error);
    if (status != RDD_READY) return status;
  }
  item->bytes = (rdd_bytes){exchange->output.data, exchange->output.size};
  return status;
}

static bool has_batch(const exchange_t *exchange, const rdd_item *item) {
  return exchange->header_count || item->gap;
}

// Adds the next entry to the batch, if all of it was received: RDD_READY; RDD_PENDING;
// or RDD_END at the end of the log and before what does not belong to this batch.
static rdd_status take_entry(exchange_t *exchange, rdd_item *item, rdd_error *error) {
  static const char entry[] = "entry\t";
  uint8_t *text = rest_of(exchange);
  size_t size = line_size(text, rest_size(exchange));
  if (!size) return RDD_PENDING;
  line_t line;
  if (size < sizeof entry || memcmp(text, entry, sizeof entry - 1) != 0) {
    if (has_batch(exchange, item)) return RDD_END;
    rdd_status status = take_line(exchange, &line, error);
    if (status != RDD_READY) return status;
    if (equals(line.field[0], "gap")) {
      static const char *const reasons[] = {"", "rotated", "replaced", "lagged"};
      item->gap = RDD_GAP_ROTATED;
      while (item->gap < RDD_GAP_UNKNOWN && !equals(line.field[1], reasons[item->gap])) item->gap++;
      return RDD_READY;
    }
    exchange->is_over = true;
    return RDD_END;
  }
  // The length is the last field. The line is not changed until all was received.
  rdd_bytes digits = {text + size - 1, 0};
  while (digits.data[-1] != '\t') digits.data--, digits.length++;
  size_t length = (size_t)parse_number(digits);
  if (length > MAX_BATCH_BYTES) return fail(error, RDD_INTERNAL, "the engine sent an entry of more than 64 KiB");
  if (exchange->header_count == MAX_BATCH_ENTRIES || exchange->output.size + length > MAX_BATCH_BYTES) return RDD_END;
  if (rest_size(exchange) < size + length) return RDD_PENDING;
  split_line(text, &line);
  exchange->headers[exchange->header_count++] = (rdd_entry_header){
    .time = parse_number(line.field[1]),
    .length = (uint32_t)length,
    .attributes = (equals(line.field[2], "stderr") ? RDD_ENTRY_STDERR : 0) | (equals(line.field[3], "part") ? RDD_ENTRY_PARTIAL : 0),
  };
  add_bytes(&exchange->output, text + size, length);
  exchange->consumed += size + length;
  return RDD_READY;
}

static rdd_status poll_entries(rdd_stream *stream, const rdd_waker *waker, rdd_item *item, rdd_error *error) {
  exchange_t *exchange = (exchange_t *)stream;
  exchange->output.size = 0;
  exchange->header_count = 0;
  while (!exchange->is_over) {
    rdd_status status = take_entry(exchange, item, error);
    if (status == RDD_ERROR) return status;
    // As many entries as there are without waiting for the engine.
    if (status != RDD_READY && has_batch(exchange, item)) {
      item->bytes = (rdd_bytes){exchange->output.data, exchange->output.size};
      item->headers = exchange->headers;
      item->header_count = exchange->header_count;
      return RDD_READY;
    }
    if (status == RDD_PENDING) {
      status = poll_more(exchange, waker, error);
      if (status != RDD_READY) return status;
    }
  }
  return RDD_END;
}

static const rdd_stream_vtable event_stream = {
  .size = sizeof(rdd_stream_vtable), .poll_open = poll_open, .poll_next = poll_event, .close = close_stream};
static const rdd_stream_vtable entry_stream = {
  .size = sizeof(rdd_stream_vtable), .poll_open = poll_open, .poll_next = poll_entries, .close = close_stream};

// ---- Requests ----------------------------------------------------------------

// Adds the string in `value` to a request.
static void add_string(buffer_t *request, rdd_bytes value) {
  buffer_t text = {0};
  add_field(request, json_string(value, &text));
  free_buffer(&text);
}

static rdd_status start_call(rdd_instance *instance, const rdd_call_vtable *vtable, const char *verb,
                             exchange_t **exchange, rdd_call **call, rdd_error *error) {
  rdd_status status = new_exchange(instance->host, exchange, error);
  if (status != RDD_READY) return status;
  (*exchange)->base.call.vtable = vtable;
  add_text(&(*exchange)->request, verb);
  *call = &(*exchange)->base.call;
  return RDD_READY;
}

static rdd_status ping(rdd_instance *instance, rdd_bytes parameters, rdd_call **call, rdd_error *error) {
  (void)parameters;
  exchange_t *exchange;
  return start_call(instance, &short_call, "ping\n\n", &exchange, call, error);
}

static rdd_status inspect(rdd_instance *instance, rdd_bytes parameters, rdd_call **call, rdd_error *error) {
  exchange_t *exchange;
  rdd_status status = start_call(instance, &inspect_call, "inspect", &exchange, call, error);
  if (status != RDD_READY) return status;
  rdd_bytes ref = json_member(parameters, "ref");
  add_string(&exchange->request, json_member(ref, "kind"));
  add_string(&exchange->request, json_member(ref, "namespace"));
  add_string(&exchange->request, json_member(ref, "id"));
  add_text(&exchange->request, "\n\n");
  return RDD_READY;
}

static rdd_status act(rdd_instance *instance, rdd_bytes parameters, rdd_call **call, rdd_error *error) {
  exchange_t *exchange;
  rdd_status status = start_call(instance, &short_call, "act", &exchange, call, error);
  if (status != RDD_READY) return status;
  rdd_bytes container = json_member(parameters, "container");
  add_string(&exchange->request, json_member(container, "namespace"));
  add_string(&exchange->request, json_member(container, "id"));
  add_string(&exchange->request, json_member(parameters, "action"));
  add_text(&exchange->request, "\n\n");
  return RDD_READY;
}

// Adds the nanoseconds of a timestamp to a request.
static void add_time(buffer_t *request, rdd_bytes time) {
  int64_t seconds = parse_number(json_member(time, "seconds"));
  add_number(request, seconds * 1000000000 + parse_number(json_member(time, "nanoseconds")));
}

static rdd_status remove_object(rdd_instance *instance, rdd_bytes parameters, rdd_call **call, rdd_error *error) {
  exchange_t *exchange;
  rdd_status status = start_call(instance, &short_call, "remove\t", &exchange, call, error);
  if (status != RDD_READY) return status;
  buffer_t *request = &exchange->request;
  rdd_bytes removal = json_member(parameters, "removal"), namespace = json_member(removal, "namespace");
  rdd_bytes target = json_member(removal, "target"), value;
  if ((value = json_member(target, "container")).length) {
    add_text(request, "container");
    add_string(request, namespace);
    add_string(request, value);
  } else if ((value = json_member(target, "image-tag")).length) {
    add_text(request, "tag");
    add_string(request, namespace);
    add_string(request, json_element(value, 0));
    add_string(request, json_element(value, 1));
  } else if ((value = json_member(target, "image")).length) {
    add_text(request, "image");
    add_string(request, namespace);
    add_string(request, value);
  } else {
    value = json_member(target, "volume");
    add_text(request, "volume");
    add_string(request, namespace);
    add_string(request, json_element(value, 0));
    add_text(request, "\t");
    if (json_element(value, 1).length) add_time(request, json_element(value, 1));
  }
  add_text(request, "\n\n");
  return RDD_READY;
}

static rdd_status start_stream(rdd_instance *instance, const rdd_stream_vtable *vtable, const char *verb,
                               exchange_t **exchange, rdd_stream **stream, rdd_error *error) {
  rdd_status status = new_exchange(instance->host, exchange, error);
  if (status != RDD_READY) return status;
  (*exchange)->base.stream.vtable = vtable;
  add_text(&(*exchange)->request, verb);
  *stream = &(*exchange)->base.stream;
  return RDD_READY;
}

static rdd_status watch(rdd_instance *instance, rdd_bytes parameters, rdd_stream **stream, rdd_error *error) {
  (void)parameters;
  exchange_t *exchange;
  return start_stream(instance, &event_stream, "watch\n\n", &exchange, stream, error);
}

static rdd_status get_entries(rdd_instance *instance, rdd_bytes parameters, rdd_stream **stream, rdd_error *error) {
  exchange_t *exchange;
  rdd_status status = start_stream(instance, &entry_stream, "logs", &exchange, stream, error);
  if (status != RDD_READY) return status;
  exchange->headers = allocate(MAX_BATCH_ENTRIES * sizeof *exchange->headers);
  buffer_t *request = &exchange->request;
  rdd_bytes container = json_member(parameters, "container"), options = json_member(parameters, "options"), value;
  add_string(request, json_member(container, "namespace"));
  add_string(request, json_member(container, "id"));
  static const char *const flags[] = {"follow", "stdout", "stderr"};
  for (size_t i = 0; i < 3; i++)
    if (json_is_true(json_member(options, flags[i]))) {
      add_text(request, "\n");
      add_text(request, flags[i]);
    }
  if ((value = json_member(options, "tail")).length) {
    add_text(request, "\ntail\t");
    add_bytes(request, value.data, value.length);
  }
  static const char *const times[] = {"since", "until"};
  for (size_t i = 0; i < 2; i++)
    if ((value = json_member(options, times[i])).length) {
      add_text(request, "\n");
      add_text(request, times[i]);
      add_text(request, "\t");
      add_time(request, value);
    }
  if ((value = json_member(options, "after")).length) {
    add_text(request, "\nafter\t");
    add_number(request, parse_number(json_member(value, "time")));
    add_text(request, "\t");
    add_number(request, parse_number(json_member(value, "index")));
  }
  add_text(request, "\n\n");
  return RDD_READY;
}

// ---- The library -------------------------------------------------------------

static rdd_status describe(rdd_bytes *info, rdd_error *error) {
  (void)error;
  *info = bytes_of(description);
  return RDD_READY;
}

static rdd_status create(const rdd_host *host, rdd_instance **instance, rdd_error *error) {
  (void)error;
  *instance = allocate(sizeof **instance);
  (*instance)->host = host;
  return RDD_READY;
}

static void destroy(rdd_instance *instance) { free(instance); }

const rdd_library *rdd_backend_library(uint32_t host_major, uint32_t host_minor) {
  // The host makes the bytes of a log from its entries, so there is no get_logs.
  static const rdd_library library = {
    .size = sizeof(rdd_library),
    .major = RDD_ABI_MAJOR,
    .minor = RDD_ABI_MINOR,
    .describe = describe,
    .create = create,
    .destroy = destroy,
    .watch = watch,
    .ping = ping,
    .inspect = inspect,
    .get_entries = get_entries,
    .act = act,
    .remove = remove_object,
  };
  (void)host_major, (void)host_minor;
  return &library;
}
