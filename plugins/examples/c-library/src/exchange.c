#include "exchange.h"

#include <stdlib.h>
#include <string.h>

#define READ_BYTES (64 * 1024)
#define MAX_ITEM_BYTES (4 * 1024 * 1024)

rdd_status fail(rdd_error *error, uint32_t code, const char *message) {
  error->code = code;
  error->message = bytes_of(message);
  return RDD_ERROR;
}

rdd_status new_exchange(const rdd_host *host, exchange_t **exchange, rdd_error *error) {
  rdd_connection *connection = NULL;
  rdd_status status = host->connect(host, &connection, error);
  if (status != RDD_READY) return status;
  *exchange = allocate(sizeof **exchange);
  (*exchange)->host = host;
  (*exchange)->connection = connection;
  return RDD_READY;
}

void close_exchange(exchange_t *exchange) {
  exchange->connection->vtable->close(exchange->connection);
  free_buffer(&exchange->request);
  free_buffer(&exchange->received);
  free_buffer(&exchange->output);
  free(exchange->headers);
  free(exchange);
}

uint8_t *rest_of(exchange_t *exchange) { return exchange->received.data + exchange->consumed; }

size_t rest_size(const exchange_t *exchange) { return exchange->received.size - exchange->consumed; }

rdd_status poll_more(exchange_t *exchange, const rdd_waker *waker, rdd_error *error) {
  if (rest_size(exchange) > MAX_ITEM_BYTES)
    return fail(error, RDD_INTERNAL, "the engine sent an item of more than 4 MiB");
  buffer_t *received = &exchange->received;
  if (exchange->consumed) memmove(received->data, rest_of(exchange), rest_size(exchange));
  received->size -= exchange->consumed;
  exchange->consumed = 0;
  uint8_t *space = reserve(received, READ_BYTES);
  size_t count = 0;
  rdd_connection *connection = exchange->connection;
  rdd_status status = connection->vtable->poll_read(connection, waker, space, READ_BYTES, &count, error);
  if (status == RDD_END) return fail(error, RDD_UNAVAILABLE, "the engine closed the connection");
  received->size += count;
  return status;
}

// Fails with what the engine says in a line `error`.
static rdd_status fail_as(rdd_error *error, const line_t *line) {
  static const char *const codes[] = {
    "", "not-found", "invalid-argument", "conflict", "replaced", "permission-denied", "unavailable", "unsupported", "timeout",
  };
  error->code = RDD_INTERNAL;
  error->message = line->field[2];
  for (uint32_t code = RDD_NOT_FOUND; code <= RDD_TIMEOUT; code++)
    if (equals(line->field[1], codes[code])) error->code = code;
  return RDD_ERROR;
}

rdd_status take_line(exchange_t *exchange, line_t *line, rdd_error *error) {
  size_t size = line_size(rest_of(exchange), rest_size(exchange));
  if (!size) return RDD_PENDING;
  split_line(rest_of(exchange), line);
  exchange->consumed += size;
  return equals(line->field[0], "error") ? fail_as(error, line) : RDD_READY;
}

// The error of another engine than the one that this backend is for.
static rdd_status fail_as_other(rdd_error *error) {
  static const char message[] = "the engine's response does not begin with ok or error, as a toy engine's does; check the engine's URL";
  error->code = RDD_INTERNAL;
  error->message = (rdd_bytes){(const uint8_t *)message, sizeof message - 1};
  return RDD_ERROR;
}

rdd_status poll_accepted(exchange_t *exchange, const rdd_waker *waker, rdd_error *error) {
  rdd_connection *connection = exchange->connection;
  if (!exchange->is_connected) {
    rdd_status status = connection->vtable->poll_connect(connection, waker, error);
    if (status != RDD_READY) return status;
    exchange->is_connected = true;
  }
  while (exchange->sent < exchange->request.size) {
    rdd_bytes bytes = {exchange->request.data + exchange->sent, exchange->request.size - exchange->sent};
    size_t count = 0;
    rdd_status status = connection->vtable->poll_write(connection, waker, bytes, &count, error);
    if (status != RDD_READY) return status;
    exchange->sent += count;
  }
  while (!exchange->is_accepted) {
    line_t line;
    rdd_status status = take_line(exchange, &line, error);
    if (status == RDD_PENDING) status = poll_more(exchange, waker, error);
    else if (status == RDD_READY) {
      exchange->is_accepted = equals(line.field[0], "ok");
      if (!exchange->is_accepted) return fail_as_other(error);
    }
    if (status != RDD_READY) return status;
  }
  return RDD_READY;
}
