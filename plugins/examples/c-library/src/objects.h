// The engine's objects as those of the contract.
#ifndef OBJECTS_H
#define OBJECTS_H

#include "text.h"

// Returns whether a word is a kind of object: container, image, volume, namespace.
bool is_kind(rdd_bytes word);

// Appends the object in a block as the contract's `object`. The text is changed.
// Returns false if its kind is unknown. `raw` becomes the property of this name.
bool add_object(buffer_t *json, uint8_t *text, rdd_bytes *raw);

#endif
