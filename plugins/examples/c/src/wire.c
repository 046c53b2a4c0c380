#include "wire.h"

#include <stdlib.h>
#include <string.h>

void *allocate(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) abort();
  return memory;
}

uint8_t *split_line(uint8_t *text, line_t *line) {
  memset(line, 0, sizeof *line);
  uint8_t *to = text;
  for (;; text++) {
    backend_string_t *field = &line->field[line->count < MAX_FIELDS ? line->count : MAX_FIELDS - 1];
    if (!field->ptr) field->ptr = to;
    if (*text == '\t' || *text == '\n') {
      field->len = to - field->ptr;
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
  const uint8_t *end = memchr(text, '\n', size);
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

bool equals(backend_string_t string, const char *text) {
  return string.len == strlen(text) && !memcmp(string.ptr, text, string.len);
}

int64_t parse_number(backend_string_t string) {
  bool is_negative = string.len && string.ptr[0] == '-';
  uint64_t number = 0;
  for (size_t i = is_negative; i < string.len && string.ptr[i] - '0' < 10u; i++)
    number = number * 10 + (string.ptr[i] - '0');
  return (int64_t)(is_negative ? -number : number);
}

static void add_byte(request_t *request, uint8_t byte) {
  if (request->size == request->capacity) {
    request->capacity = request->capacity * 2 + 64;
    request->ptr = realloc(request->ptr, request->capacity);
    if (!request->ptr) abort();
  }
  request->ptr[request->size++] = byte;
}

void add_text(request_t *request, const char *text) {
  while (*text) add_byte(request, *text++);
}

void add_field(request_t *request, backend_string_t field) {
  add_byte(request, '\t');
  for (size_t i = 0; i < field.len; i++) {
    const char *escape = field.ptr[i] ? strchr("\\\\\tt\nn\rr", field.ptr[i]) : NULL;
    if (escape && (field.ptr[i] < ' ' || field.ptr[i] == '\\')) {
      add_byte(request, '\\');
      add_byte(request, escape[1]);
    } else {
      add_byte(request, field.ptr[i]);
    }
  }
}

void add_number(request_t *request, int64_t number) {
  char digits[24], *first = digits + sizeof digits - 1;
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  *first = 0;
  do *--first = '0' + rest % 10; while (rest /= 10);
  if (number < 0) *--first = '-';
  add_byte(request, '\t');
  add_text(request, first);
}
