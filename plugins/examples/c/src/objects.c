#include "objects.h"

#include <stdlib.h>
#include <string.h>

const char *const kind_names[] = {"container", "image", "volume", "namespace"};
static const char *const state_names[] = {
  "created", "running", "pausing", "paused", "restarting", "removing", "exited", "dead",
};

// The properties of an object: the word in the engine's line, the type, and the
// place in the contract's record.
typedef struct {
  const char *word;
  enum { TEXT, INT32, INT64, TIME, FLAG, STATE, TEXTS, PAIRS, PORT, BINDING } type;
  size_t offset;
} property_t;

#define CONTAINER(member) offsetof(types_container_t, member)
static const property_t container_properties[] = {
  {"id", TEXT, CONTAINER(id)},
  {"name", TEXT, CONTAINER(name)},
  {"namespace", TEXT, CONTAINER(namespace_)},
  {"path", TEXT, CONTAINER(path)},
  {"arg", TEXTS, CONTAINER(args)},
  {"image-id", TEXT, CONTAINER(image_id)},
  {"image", TEXT, CONTAINER(image_name)},
  {"label", PAIRS, CONTAINER(labels)},
  {"state", STATE, CONTAINER(state)},
  {"pid", INT32, CONTAINER(pid)},
  {"exit-code", INT32, CONTAINER(exit_code)},
  {"error", TEXT, CONTAINER(error)},
  {"created", TIME, CONTAINER(created_at)},
  {"started", TIME, CONTAINER(started_at)},
  {"finished", TIME, CONTAINER(finished_at)},
  {"port", PORT, CONTAINER(ports)},
  {"binding", BINDING, CONTAINER(ports)},
  {"running", FLAG, CONTAINER(running)},
  {"paused", FLAG, CONTAINER(paused)},
  {"restarting", FLAG, CONTAINER(restarting)},
  {"oom-killed", FLAG, CONTAINER(oom_killed)},
  {"dead", FLAG, CONTAINER(dead)},
  {"tty", FLAG, CONTAINER(tty)},
  {0},
};

#define IMAGE(member) offsetof(types_image_t, member)
static const property_t image_properties[] = {
  {"id", TEXT, IMAGE(id)},
  {"namespace", TEXT, IMAGE(namespace_)},
  {"tag", TEXTS, IMAGE(repo_tags)},
  {"digest", TEXTS, IMAGE(repo_digests)},
  {"created", TIME, IMAGE(created_at)},
  {"architecture", TEXT, IMAGE(architecture)},
  {"os", TEXT, IMAGE(os)},
  {"size", INT64, IMAGE(size)},
  {"label", PAIRS, IMAGE(labels)},
  {0},
};

#define VOLUME(member) offsetof(types_volume_t, member)
static const property_t volume_properties[] = {
  {"name", TEXT, VOLUME(name)},
  {"namespace", TEXT, VOLUME(namespace_)},
  {"created", TIME, VOLUME(created_at)},
  {"driver", TEXT, VOLUME(driver)},
  {"mountpoint", TEXT, VOLUME(mountpoint)},
  {"label", PAIRS, VOLUME(labels)},
  {"scope", TEXT, VOLUME(scope)},
  {"option", PAIRS, VOLUME(options)},
  {0},
};

static const property_t namespace_properties[] = {{"name", TEXT, 0}, {0}};

static const property_t *const properties[] = {
  container_properties, image_properties, volume_properties, namespace_properties,
};

int parse_kind(backend_string_t name) {
  for (int kind = 0; kind < 4; kind++)
    if (equals(name, kind_names[kind])) return kind;
  return -1;
}

static types_container_state_t parse_state(backend_string_t name) {
  types_container_state_t state = 0;
  while (state < TYPES_CONTAINER_STATE_UNKNOWN && !equals(name, state_names[state])) state++;
  return state;
}

static types_option_timestamp_t parse_time(backend_string_t nanoseconds) {
  int64_t time = parse_number(nanoseconds);
  int64_t seconds = time / 1000000000 - (time % 1000000000 < 0);
  return (types_option_timestamp_t){true, {seconds, (uint32_t)(time - seconds * 1000000000)}};
}

// Appends an element to a list. All lists of the contract have this layout.
typedef struct {
  void *ptr;
  size_t len;
} list_t;

static void append(list_t *list, const void *element, size_t size) {
  list->ptr = realloc(list->ptr, (list->len + 1) * size);
  if (!list->ptr) abort();
  memcpy((uint8_t *)list->ptr + list->len++ * size, element, size);
}

static void set_property(void *at, const property_t *property, const line_t *line) {
  const backend_string_t *field = line->field;
  switch (property->type) {
    case TEXT: *(backend_string_t *)at = field[1]; break;
    case INT32: *(int32_t *)at = (int32_t)parse_number(field[1]); break;
    case INT64: *(int64_t *)at = parse_number(field[1]); break;
    case TIME: *(types_option_timestamp_t *)at = parse_time(field[1]); break;
    case FLAG: *(bool *)at = true; break;
    case STATE: *(types_container_state_t *)at = parse_state(field[1]); break;
    case TEXTS: append(at, &field[1], sizeof field[1]); break;
    case PAIRS: append(at, &(backend_tuple2_string_string_t){field[1], field[2]}, sizeof(backend_tuple2_string_string_t)); break;
    case PORT: append(at, &(types_port_t){.name = field[1]}, sizeof(types_port_t)); break;
    case BINDING: {
      types_list_port_t *ports = at; // a binding follows its port
      if (ports->len)
        append((list_t *)&ports->ptr[ports->len - 1].bindings,
               &(types_port_binding_t){field[2], field[3]}, sizeof(types_port_binding_t));
      break;
    }
  }
}

bool parse_object(uint8_t *text, types_object_t *object, backend_string_t *raw) {
  line_t line;
  text = split_line(text, &line);
  memset(object, 0, sizeof *object);
  *raw = (backend_string_t){0};
  int kind = parse_kind(line.field[0]);
  if (kind < 0) return false;
  object->tag = (uint8_t)kind;
  while (*text != '\n') {
    text = split_line(text, &line);
    if (equals(line.field[0], "raw")) *raw = line.field[1];
    // `dead` and others are also the names of states, but not the first field.
    for (const property_t *property = properties[kind]; property->word; property++)
      if (equals(line.field[0], property->word))
        set_property((uint8_t *)&object->val + property->offset, property, &line);
  }
  return true;
}

void free_lists(types_object_t *object) {
  for (const property_t *property = properties[object->tag]; property->word; property++) {
    list_t *list = (list_t *)((uint8_t *)&object->val + property->offset);
    if (property->type == PORT)
      for (size_t i = 0; i < list->len; i++) free(((types_port_t *)list->ptr)[i].bindings.ptr);
    if (property->type == TEXTS || property->type == PAIRS || property->type == PORT) free(list->ptr);
  }
}
