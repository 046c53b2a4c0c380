// Texts that grow, and the engine's lines: fields with a tab between them.
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rdd_backend.h"

// Bytes that grow.
typedef struct {
  uint8_t *data;
  size_t size, capacity;
} buffer_t;

// Returns space for `size` more bytes at the end. There is nothing to do but to end
// the process if there is no memory.
uint8_t *reserve(buffer_t *buffer, size_t size);
void add_bytes(buffer_t *buffer, const void *bytes, size_t size);
void add_text(buffer_t *buffer, const char *text);
void add_number(buffer_t *buffer, int64_t number);
void free_buffer(buffer_t *buffer);
void *allocate(size_t size);

// The fields of one line. A field that the line does not have is empty.
#define MAX_FIELDS 8
typedef struct {
  rdd_bytes field[MAX_FIELDS];
  size_t count;
} line_t;

// Splits the line at `text`, which has a newline at its end, and replaces the
// escapes in it. Returns the begin of the next line.
uint8_t *split_line(uint8_t *text, line_t *line);

// Returns the size of the line or the block at the begin of `text`, with its
// newline or its empty line; 0 if it is not complete.
size_t line_size(const uint8_t *text, size_t size);
size_t block_size(const uint8_t *text, size_t size);

// Adds a tab and an escaped field to a request.
void add_field(buffer_t *request, rdd_bytes field);

bool equals(rdd_bytes bytes, const char *text);
int64_t parse_number(rdd_bytes bytes);
rdd_bytes bytes_of(const char *text);

#endif
