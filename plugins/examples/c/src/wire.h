// The engine's protocol: lines of fields, with a tab between them.
#ifndef WIRE_H
#define WIRE_H

#include "backend.h"

// The fields of one line. A field that the line does not have is empty.
#define MAX_FIELDS 8
typedef struct {
  backend_string_t field[MAX_FIELDS];
  size_t count;
} line_t;

// Splits the line at `text`, which has a newline at its end, and replaces the
// escapes in it. Returns the begin of the next line.
uint8_t *split_line(uint8_t *text, line_t *line);

// Returns the size of the line at the begin of `text`, with its newline; 0 if it
// is not complete.
size_t line_size(const uint8_t *text, size_t size);

// Returns the size of the block at the begin of `text`, with the empty line at
// its end; 0 if it is not complete.
size_t block_size(const uint8_t *text, size_t size);

bool equals(backend_string_t string, const char *text);
int64_t parse_number(backend_string_t string);

// A request that is being written.
typedef struct {
  uint8_t *ptr;
  size_t size, capacity;
} request_t;

void add_text(request_t *request, const char *text);
void add_field(request_t *request, backend_string_t field); // a tab, and the escaped field
void add_number(request_t *request, int64_t number);        // a tab, and the number

// Allocates memory; there is nothing to do but to trap if there is none.
void *allocate(size_t size);

#endif
