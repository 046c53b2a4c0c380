// A call or stream of the contract: one request to the engine, and its response.
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "text.h"

// The object that the daemon polls. It has one connection of its own, and closing
// it closes the connection, so there is nothing to cancel.
typedef struct exchange {
  union {
    rdd_call call;
    rdd_stream stream;
  } base;
  const rdd_host *host;
  rdd_connection *connection;
  buffer_t request, received, output;
  size_t sent, consumed; // of the request, and of what was received
  bool is_connected, is_accepted, is_over;
  rdd_entry_header *headers; // of the batch of entries in `output`
  uint32_t header_count;
} exchange_t;

// Begins an exchange, for which the caller then writes the request and sets `base`.
rdd_status new_exchange(const rdd_host *host, exchange_t **exchange, rdd_error *error);
void close_exchange(exchange_t *exchange);

// Fails with an error.
rdd_status fail(rdd_error *error, uint32_t code, const char *message);

// Waits until the engine has accepted the request.
rdd_status poll_accepted(exchange_t *exchange, const rdd_waker *waker, rdd_error *error);

// Waits for more bytes of the engine.
rdd_status poll_more(exchange_t *exchange, const rdd_waker *waker, rdd_error *error);

// What was received and is not processed yet.
uint8_t *rest_of(exchange_t *exchange);
size_t rest_size(const exchange_t *exchange);

// Takes the next line, if all of it was received: RDD_READY, or RDD_PENDING. A line
// `error` is RDD_ERROR.
rdd_status take_line(exchange_t *exchange, line_t *line, rdd_error *error);

#endif
