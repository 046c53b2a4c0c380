#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *allocate(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) abort();
  return memory;
}

uint8_t *reserve(buffer_t *buffer, size_t size) {
  if (buffer->capacity < buffer->size + size) {
    buffer->capacity = buffer->size + buffer->size / 2 + size + 64;
    buffer->data = realloc(buffer->data, buffer->capacity);
    if (!buffer->data) abort();
  }
  return buffer->data + buffer->size;
}

void add_bytes(buffer_t *buffer, const void *bytes, size_t size) {
  if (size) memcpy(reserve(buffer, size), bytes, size);
  buffer->size += size;
}

void add_text(buffer_t *buffer, const char *text) { add_bytes(buffer, text, strlen(text)); }

void add_number(buffer_t *buffer, int64_t number) {
  char digits[24];
  snprintf(digits, sizeof digits, "%" PRId64, number);
  add_text(buffer, digits);
}

void free_buffer(buffer_t *buffer) { free(buffer->data); }

uint8_t *split_line(uint8_t *text, line_t *line) {
  memset(line, 0, sizeof *line);
  uint8_t *to = text;
  for (;; text++) {
    rdd_bytes *field = &line->field[line->count < MAX_FIELDS ? line->count : MAX_FIELDS - 1];
    if (!field->data) field->data = to;
    if (*text == '\t' || *text == '\n') {
      field->length = (size_t)(to - field->data);
      line->count++;
      if (*text == '\n') return text + 1;
    } else if (*text == '\\') {
      text++;
      *to++ = *text == 't' ? '\t' : *text == 'n' ? '\n' : *text == 'r' ? '\r' : *text;
    } else {
      *to++ = *text;
    }
  }
}

size_t line_size(const uint8_t *text, size_t size) {
  const uint8_t *end = size ? memchr(text, '\n', size) : NULL;
  return end ? (size_t)(end - text) + 1 : 0;
}

size_t block_size(const uint8_t *text, size_t size) {
  size_t total = 0;
  for (;;) {
    size_t line = line_size(text + total, size - total);
    total += line;
    if (line <= 1) return line ? total : 0;
  }
}

void add_field(buffer_t *request, rdd_bytes field) {
  add_text(request, "\t");
  for (size_t i = 0; i < field.length; i++) {
    switch (field.data[i]) {
      case '\\': add_text(request, "\\\\"); break;
      case '\t': add_text(request, "\\t"); break;
      case '\n': add_text(request, "\\n"); break;
      case '\r': add_text(request, "\\r"); break;
      default: add_bytes(request, field.data + i, 1);
    }
  }
}

bool equals(rdd_bytes bytes, const char *text) {
  return bytes.length == strlen(text) && !memcmp(bytes.data, text, bytes.length);
}

int64_t parse_number(rdd_bytes bytes) {
  bool is_negative = bytes.length && bytes.data[0] == '-';
  uint64_t number = 0;
  for (size_t i = is_negative; i < bytes.length && (uint8_t)(bytes.data[i] - '0') < 10; i++)
    number = number * 10 + (uint64_t)(bytes.data[i] - '0');
  return (int64_t)(is_negative ? -number : number);
}

rdd_bytes bytes_of(const char *text) { return (rdd_bytes){(const uint8_t *)text, strlen(text)}; }
