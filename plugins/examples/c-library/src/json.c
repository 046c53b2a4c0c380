#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Returns the text without the spaces and separators at its begin.
static rdd_bytes skip_spaces(rdd_bytes text) {
  while (text.length && (is_space(*text.data) || *text.data == ',' || *text.data == ':'))
    text.data++, text.length--;
  return text;
}

// Returns the size of the value at the begin of a text.
static size_t value_size(rdd_bytes text) {
  size_t depth = 0, at = 0;
  bool is_string = false;
  for (; at < text.length; at++) {
    uint8_t c = text.data[at];
    if (is_string) {
      if (c == '\\') at++;
      else if (c == '"') is_string = false;
      else continue;
      if (!is_string && depth == 0) return at + 1;
    } else if (c == '"') {
      is_string = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == ',' || is_space(c))) {
      return at;
    }
  }
  return at;
}

// Takes the next value of the inside of an object or array.
static rdd_bytes next_value(rdd_bytes *rest) {
  *rest = skip_spaces(*rest);
  rdd_bytes value = {rest->data, value_size(*rest)};
  rest->data += value.length;
  rest->length -= value.length;
  return value;
}

static rdd_bytes inside(rdd_bytes value) {
  if (value.length < 2) return (rdd_bytes){0};
  return (rdd_bytes){value.data + 1, value.length - 2};
}

static rdd_bytes unless_null(rdd_bytes value) {
  return equals(value, "null") ? (rdd_bytes){0} : value;
}

rdd_bytes json_member(rdd_bytes object, const char *key) {
  rdd_bytes rest = inside(object);
  while (rest.length) {
    rdd_bytes name = inside(next_value(&rest)), value = next_value(&rest);
    if (equals(name, key)) return unless_null(value);
  }
  return (rdd_bytes){0};
}

rdd_bytes json_element(rdd_bytes array, size_t index) {
  rdd_bytes rest = inside(array), value = {0};
  for (size_t i = 0; i <= index; i++) value = next_value(&rest);
  return unless_null(value);
}

bool json_is_true(rdd_bytes value) { return equals(value, "true"); }

// Appends a character in UTF-8.
static void add_character(buffer_t *text, uint32_t c) {
  uint8_t bytes[4];
  size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = size; i-- > 1; c >>= 6) bytes[i] = (uint8_t)(0x80 | (c & 0x3f));
  bytes[0] = (uint8_t)(first[size] | c);
  add_bytes(text, bytes, size);
}

// Returns the four hexadecimal digits of an escape.
static uint32_t code_unit(const uint8_t *digits) {
  char text[5] = {0};
  memcpy(text, digits, 4);
  return (uint32_t)strtoul(text, NULL, 16);
}

rdd_bytes json_string(rdd_bytes value, buffer_t *text) {
  size_t begin = text->size;
  rdd_bytes rest = inside(value);
  for (size_t i = 0; i < rest.length; i++) {
    const uint8_t *c = rest.data + i;
    if (*c != '\\' || i + 1 == rest.length) {
      add_bytes(text, c, 1);
      continue;
    }
    i++;
    switch (c[1]) {
      case 'b': add_text(text, "\b"); break;
      case 'f': add_text(text, "\f"); break;
      case 'n': add_text(text, "\n"); break;
      case 'r': add_text(text, "\r"); break;
      case 't': add_text(text, "\t"); break;
      case 'u': {
        if (rest.length - i < 5) break;
        uint32_t unit = code_unit(c + 2);
        i += 4;
        // The second half of a character beyond the first 65,536.
        if (unit >= 0xd800 && unit < 0xdc00 && rest.length - i > 6) {
          unit = 0x10000 + ((unit - 0xd800) << 10) + (code_unit(c + 8) - 0xdc00);
          i += 6;
        }
        add_character(text, unit);
        break;
      }
      default: add_bytes(text, c + 1, 1);
    }
  }
  return (rdd_bytes){text->data + begin, text->size - begin};
}

void add_json_string(buffer_t *json, rdd_bytes text) {
  add_text(json, "\"");
  for (size_t i = 0; i < text.length; i++) {
    uint8_t c = text.data[i];
    char escape[8];
    if (c == '"' || c == '\\') {
      snprintf(escape, sizeof escape, "\\%c", c);
      add_text(json, escape);
    } else if (c < ' ') {
      snprintf(escape, sizeof escape, "\\u%04x", c);
      add_text(json, escape);
    } else {
      add_bytes(json, &c, 1);
    }
  }
  add_text(json, "\"");
}
