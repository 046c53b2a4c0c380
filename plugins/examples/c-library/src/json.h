// The JSON of parameters and results. What the daemon sends is valid, so a value is
// found without checking the rest. A library such as cJSON can take its place.
#ifndef JSON_H
#define JSON_H

#include "text.h"

// Return the value of a member, or the element at an index, as it is written; empty
// if there is none. `null` counts as none.
rdd_bytes json_member(rdd_bytes object, const char *key);
rdd_bytes json_element(rdd_bytes array, size_t index);

bool json_is_true(rdd_bytes value);

// Appends the characters of a string to `text`, and returns them. They move when
// the buffer grows.
rdd_bytes json_string(rdd_bytes value, buffer_t *text);

// Appends a string with quotes and escapes.
void add_json_string(buffer_t *json, rdd_bytes text);

#endif
