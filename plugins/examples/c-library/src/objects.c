#include "objects.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

// A property of an object: its word in the engine's line, its key in the contract's
// record, and its type.
typedef struct {
  const char *word, *key;
  enum { TEXT, NUMBER, TIME, FLAG, TEXTS, PAIRS, PORTS } type;
} property_t;

static const property_t container_properties[] = {
  {"id", "id", TEXT},
  {"name", "name", TEXT},
  {"namespace", "namespace", TEXT},
  {"path", "path", TEXT},
  {"arg", "args", TEXTS},
  {"image-id", "image-id", TEXT},
  {"image", "image-name", TEXT},
  {"label", "labels", PAIRS},
  {"state", "state", TEXT},
  {"pid", "pid", NUMBER},
  {"exit-code", "exit-code", NUMBER},
  {"error", "error", TEXT},
  {"created", "created-at", TIME},
  {"started", "started-at", TIME},
  {"finished", "finished-at", TIME},
  {"port", "ports", PORTS},
  {"running", "running", FLAG},
  {"paused", "paused", FLAG},
  {"restarting", "restarting", FLAG},
  {"oom-killed", "oom-killed", FLAG},
  {"dead", "dead", FLAG},
  {"tty", "tty", FLAG},
  {0},
};

static const property_t image_properties[] = {
  {"id", "id", TEXT},
  {"namespace", "namespace", TEXT},
  {"tag", "repo-tags", TEXTS},
  {"digest", "repo-digests", TEXTS},
  {"created", "created-at", TIME},
  {"architecture", "architecture", TEXT},
  {"os", "os", TEXT},
  {"size", "size", NUMBER},
  {"label", "labels", PAIRS},
  {0},
};

static const property_t volume_properties[] = {
  {"name", "name", TEXT},
  {"namespace", "namespace", TEXT},
  {"created", "created-at", TIME},
  {"driver", "driver", TEXT},
  {"mountpoint", "mountpoint", TEXT},
  {"label", "labels", PAIRS},
  {"scope", "scope", TEXT},
  {"option", "options", PAIRS},
  {0},
};

static const char *const kinds[] = {"container", "image", "volume", "namespace"};
static const property_t *const properties[] = {container_properties, image_properties, volume_properties};
enum { NAMESPACE = 3, KINDS = 4 };

static size_t kind_of(rdd_bytes word) {
  size_t kind = 0;
  while (kind < KINDS && !equals(word, kinds[kind])) kind++;
  return kind;
}

bool is_kind(rdd_bytes word) { return kind_of(word) < KINDS; }

static void add_time(buffer_t *json, int64_t time) {
  int64_t seconds = time / 1000000000 - (time % 1000000000 < 0);
  add_text(json, "{\"seconds\":");
  add_number(json, seconds);
  add_text(json, ",\"nanoseconds\":");
  add_number(json, time - seconds * 1000000000);
  add_text(json, "}");
}

static void add_pair(buffer_t *json, rdd_bytes key, rdd_bytes value) {
  add_text(json, "[");
  add_json_string(json, key);
  add_text(json, ",");
  add_json_string(json, value);
  add_text(json, "]");
}

// Appends a port with its bindings, which are lines of their own.
static void add_port(buffer_t *json, rdd_bytes name, const line_t *lines, size_t count) {
  add_text(json, "{\"name\":");
  add_json_string(json, name);
  add_text(json, ",\"bindings\":[");
  const char *separator = "";
  for (size_t i = 0; i < count; i++) {
    const rdd_bytes *field = lines[i].field;
    if (!equals(field[0], "binding") || field[1].length != name.length ||
        memcmp(field[1].data, name.data, name.length) != 0)
      continue;
    add_text(json, separator);
    add_text(json, "{\"host-ip\":");
    add_json_string(json, field[2]);
    add_text(json, ",\"host-port\":");
    add_json_string(json, field[3]);
    add_text(json, "}");
    separator = ",";
  }
  add_text(json, "]}");
}

static void add_value(buffer_t *json, const property_t *property, const line_t *lines, size_t count) {
  bool is_list = property->type == TEXTS || property->type == PAIRS || property->type == PORTS;
  const char *separator = "";
  bool is_found = false;
  if (is_list) add_text(json, "[");
  for (size_t i = 0; i < count && (is_list || !is_found); i++) {
    const rdd_bytes *field = lines[i].field;
    if (!equals(field[0], property->word) || (property->type == FLAG) != (lines[i].count == 1)) continue;
    is_found = true;
    add_text(json, separator);
    separator = ",";
    switch (property->type) {
      case TEXT: case TEXTS: add_json_string(json, field[1]); break;
      case NUMBER: add_number(json, parse_number(field[1])); break;
      case TIME: add_time(json, parse_number(field[1])); break;
      case FLAG: add_text(json, "true"); break;
      case PAIRS: add_pair(json, field[1], field[2]); break;
      case PORTS: add_port(json, field[1], lines, count); break;
    }
  }
  static const char *const missing[] = {"\"\"", "0", "null", "false"};
  if (is_list) add_text(json, "]");
  else if (!is_found) add_text(json, missing[property->type]);
}

bool add_object(buffer_t *json, uint8_t *text, rdd_bytes *raw) {
  line_t *lines = NULL;
  size_t count = 0;
  while (*text != '\n') {
    lines = realloc(lines, (count + 1) * sizeof *lines);
    if (!lines) abort();
    text = split_line(text, &lines[count++]);
  }
  size_t kind = count ? kind_of(lines[0].field[0]) : KINDS;
  if (kind < KINDS) {
    add_text(json, "{\"");
    add_text(json, kinds[kind]);
    add_text(json, "\":");
  }
  if (kind < NAMESPACE) {
    const char *separator = "{";
    for (const property_t *property = properties[kind]; property->word; property++) {
      add_text(json, separator);
      add_json_string(json, bytes_of(property->key));
      add_text(json, ":");
      add_value(json, property, lines + 1, count - 1);
      separator = ",";
    }
    add_text(json, "}}");
  } else if (kind == NAMESPACE) {
    add_value(json, &(property_t){"name", "name", TEXT}, lines + 1, count - 1);
    add_text(json, "}");
  }
  *raw = (rdd_bytes){0};
  for (size_t i = 1; i < count; i++)
    if (equals(lines[i].field[0], "raw")) *raw = lines[i].field[1];
  free(lines);
  return kind < KINDS;
}
