// The engine's objects, as objects of the contract.
#ifndef OBJECTS_H
#define OBJECTS_H

#include "wire.h"

// Parses the block at `text`. The object refers to the text, and to memory that
// is freed with `free_lists`. Returns false if the kind is unknown.
bool parse_object(uint8_t *text, types_object_t *object, backend_string_t *raw);
void free_lists(types_object_t *object);

// Returns the kind named `name`, or -1.
int parse_kind(backend_string_t name);
extern const char *const kind_names[4];

#endif
