/* SPDX-License-Identifier: Apache-2.0
 *
 * rdd_backend.h: the C ABI of a backend that is a dynamic library, version 0.1.
 *
 * It has the functions of the WIT package rancher-desktop:engine of the same
 * version, which defines what each of them does, and its records as JSON.
 * docs/abi.md is the guide: the encoding of records, rules, and an example.
 *
 * TRUST. A library runs in the daemon's process, with all its rights. Nothing
 * confines it. The daemon checks what it can: versions, sizes, NULL pointers,
 * alignment, lengths, UTF-8, JSON, and the rules of the contract. It cannot
 * detect a pointer to the wrong memory, a length that is too large, memory that
 * is written or freed too early, a data race, a signal, or a call of exit().
 * A user approves a library by its digest before it is loaded.
 *
 * LOADING. The library exports the function rdd_backend_library, and the daemon
 * never unloads it. It must not need initialization of any other kind.
 *
 * THREADS. The daemon creates any number of instances, at the same time and one
 * after another: one for the engine and its changes, and one for each log,
 * process, and transfer. Each has a thread of the daemon for its whole life, and
 * all calls of the instance and its objects are made on that thread, never two
 * at a time. Different instances run at the same time, so the library protects
 * what they share. rdd_backend_library and describe may be called on any thread.
 *
 * The library may have threads of its own. These may use wakers and every
 * function of rdd_host, an object of the daemon by one thread at a time.
 *
 * WAITING. No function waits, not for the engine, a file, or another thread. One
 * that cannot complete stores a clone of the waker, returns RDD_PENDING, and
 * wakes the waker when it is worth calling again; only the waker of its latest
 * call counts. Each function of an object has a waker of its own. An instance
 * that is in a call for ten seconds has failed: all its calls end with an error,
 * its thread is given up, and it counts as a failure of the backend.
 *
 * OWNERSHIP. Whoever creates an object frees it, and nobody frees another's
 * memory. The library creates instances, calls, and streams; the daemon frees
 * them by destroy and close, once each. The daemon creates connections, timers,
 * and requests for credentials; the library closes each once. Closing never
 * fails and never waits. It is also how a call is canceled: it may come at any
 * time between two other calls, and within one second after it, everything that
 * was opened for the call has been closed. An instance is destroyed after its
 * objects were closed. When destroy returns, the library has closed all objects
 * that it got from the instance's rdd_host, and no thread uses it any more.
 * Wakers are counted references. They remain valid as long as the library holds
 * them, also after their object or instance is gone.
 *
 * BYTES. An rdd_bytes is borrowed. What a function gets is valid until it
 * returns. What the library returns is valid until the daemon's next call of the
 * same instance, and what the daemon returns until the library's next call of
 * the same daemon's object or of rdd_host: copy what you keep. Text is UTF-8 and
 * not terminated by 0. A pointer may be NULL if the length is 0.
 *
 * ERRORS are values: a function that returns RDD_ERROR has set *error. No
 * exception, panic, or longjmp crosses a function of this ABI. A library that
 * catches a panic returns RDD_PANIC with a message; the daemon then closes the
 * instance's objects, and destroys it. Where there is no status to return, it is
 * reported by the instance's next function that has one.
 *
 * GROWTH. Structures that begin with `size` only grow at their end. `size` is
 * set by whoever allocates the structure, to its sizeof; the other side must not
 * touch a field beyond it. The other structures never change.
 */
#ifndef RDD_BACKEND_H
#define RDD_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this ABI and of the contract. */
#define RDD_ABI_MAJOR 0u
#define RDD_ABI_MINOR 1u

#if defined(_WIN32)
#define RDD_EXPORT __declspec(dllexport)
#else
#define RDD_EXPORT __attribute__((visibility("default")))
#endif

/* Whether the structure at `pointer`, which has a size, has a field. */
#define RDD_HAS(type, pointer, field)                                          \
  ((pointer)->size >= offsetof(type, field) + sizeof((pointer)->field))

/* Borrowed bytes. */
typedef struct rdd_bytes {
  const uint8_t *data;
  size_t length;
} rdd_bytes;

/* The result of a function. */
typedef int32_t rdd_status;
enum {
  RDD_READY = 0,   /* Done; the results are set. */
  RDD_PENDING = 1, /* Not yet; the waker will be woken. */
  RDD_END = 2,     /* The end of a stream, or of an input that nobody reads. */
  RDD_ERROR = 3,   /* Failed; the error is set. */
  RDD_PANIC = 4    /* A bug of the library; the error's message is set. */
};

/* `error-code` of the contract. */
enum {
  RDD_NOT_FOUND = 1,
  RDD_INVALID_ARGUMENT = 2,
  RDD_CONFLICT = 3,
  RDD_REPLACED = 4,
  RDD_PERMISSION_DENIED = 5,
  RDD_UNAVAILABLE = 6,
  RDD_UNSUPPORTED = 7,
  RDD_TIMEOUT = 8,
  RDD_CANCELLED = 9,
  RDD_INTERNAL = 10,
  RDD_OTHER = 11
};

/* `error` of the contract. The caller of a function allocates it, sets the size,
 * and clears the rest. */
typedef struct rdd_error {
  size_t size;
  uint32_t code;
  uint32_t reserved; /* 0 */
  rdd_bytes message; /* One sentence in lower case, without a full stop. */
  rdd_bytes name;    /* The name of RDD_OTHER; empty for the other codes. */
} rdd_error;

/* ---- Wakers -------------------------------------------------------------- */

/* A reference by which a caller learns that a function is worth calling again.
 * The argument of a function is borrowed: clone it to keep it. Every function
 * may be called on any thread; none blocks. Waking more often than necessary is
 * allowed. */
typedef struct rdd_waker {
  const struct rdd_waker_vtable *vtable;
} rdd_waker;

typedef struct rdd_waker_vtable {
  size_t size;
  rdd_waker *(*clone)(const rdd_waker *waker); /* Never NULL. */
  void (*wake)(rdd_waker *waker);              /* Wakes and drops a clone. */
  void (*wake_by_ref)(const rdd_waker *waker); /* Wakes and keeps it. */
  void (*drop)(rdd_waker *waker);              /* Drops a clone. */
} rdd_waker_vtable;

/* ---- Objects ------------------------------------------------------------- */

/* An object begins with the pointer to its functions; what follows is its
 * maker's. So an object in C is a structure with one of these as first member. */

/* A call in progress that has one result: of the library (ping, inspect, act,
 * remove, create_container, create_volume), or of the daemon (sleep,
 * get_credentials). */
typedef struct rdd_call {
  const struct rdd_call_vtable *vtable;
} rdd_call;

typedef struct rdd_call_vtable {
  size_t size;
  /* RDD_READY with the result, RDD_PENDING, RDD_ERROR, or RDD_PANIC. Not called
   * again after any of these but RDD_PENDING. */
  rdd_status (*poll)(rdd_call *call, const rdd_waker *waker, rdd_bytes *result,
                     rdd_error *error);
  void (*close)(rdd_call *call);
} rdd_call_vtable;

/* `entry-header` of the contract. */
typedef struct rdd_entry_header {
  int64_t time; /* Nanoseconds since the Unix epoch. */
  uint32_t length;
  uint32_t attributes; /* RDD_ENTRY_STDERR, RDD_ENTRY_PARTIAL */
} rdd_entry_header;

enum { RDD_ENTRY_STDERR = 1, RDD_ENTRY_PARTIAL = 2 };

/* The source of an output chunk. */
enum { RDD_STDOUT = 0, RDD_STDERR = 1 };

/* `gap-reason` of the contract; 0 for no gap. */
enum {
  RDD_GAP_NONE = 0,
  RDD_GAP_ROTATED = 1,
  RDD_GAP_REPLACED = 2,
  RDD_GAP_LAGGED = 3,
  RDD_GAP_UNKNOWN = 4
};

/* One item of a stream. The daemon allocates it, sets the size, and clears the
 * rest. Which fields an item has depends on the call:
 *   watch            bytes: an `event` as JSON
 *   pull, push       bytes: a `transfer-progress` as JSON
 *   get_logs, exec   source; bytes: the output as it is, at most 65,536
 *   get_entries      gap, headers, header_count; bytes: those of all entries,
 *                    one after another, at most 65,536 */
typedef struct rdd_item {
  size_t size;
  rdd_bytes bytes;
  const rdd_entry_header *headers; /* Borrowed, like the bytes. */
  uint32_t header_count;           /* At most 4,096. */
  uint32_t source;
  uint32_t gap;
  uint32_t reserved; /* 0 */
} rdd_item;

/* A call in progress that returns a stream: watch, get_logs, get_entries, exec,
 * pull, push. */
typedef struct rdd_stream {
  const struct rdd_stream_vtable *vtable;
} rdd_stream;

typedef struct rdd_stream_vtable {
  size_t size;
  /* Waits until the engine has begun to respond: RDD_READY, RDD_PENDING,
   * RDD_ERROR (the error of the call), or RDD_PANIC. Called before every other
   * function, until it returns RDD_READY. */
  rdd_status (*poll_open)(rdd_stream *stream, const rdd_waker *waker,
                          rdd_error *error);
  /* RDD_READY with an item, RDD_PENDING, RDD_END, RDD_ERROR (the error of the
   * future that accompanies the stream), or RDD_PANIC. The daemon calls it when
   * it has space for an item. Not called again after the end or an error. */
  rdd_status (*poll_next)(rdd_stream *stream, const rdd_waker *waker,
                          rdd_item *item, rdd_error *error);
  void (*close)(rdd_stream *stream);

  /* The others are for exec, and NULL for other streams. They are independent:
   * each of these and poll_next may be pending while others go on. */

  /* Accepts bytes of the standard input. RDD_READY: `*accepted` of them were
   * taken, at least one. RDD_END: the process reads no more, which is no error;
   * not called again. */
  rdd_status (*poll_write)(rdd_stream *stream, const rdd_waker *waker,
                           rdd_bytes bytes, size_t *accepted, rdd_error *error);
  /* Ends the standard input (half-close), after what was accepted: RDD_READY,
   * RDD_PENDING, or RDD_END. Also called if options.stdin is false. */
  rdd_status (*poll_shutdown)(rdd_stream *stream, const rdd_waker *waker,
                              rdd_error *error);
  /* Sets the size of the terminal, for programs that have one. Only the latest
   * size matters. */
  void (*resize)(rdd_stream *stream, uint16_t columns, uint16_t rows);
  /* The exit code, after poll_next has returned RDD_END: RDD_READY, RDD_PENDING,
   * RDD_ERROR, or RDD_PANIC. */
  rdd_status (*poll_exit)(rdd_stream *stream, const rdd_waker *waker,
                          int32_t *exit_code, rdd_error *error);
} rdd_stream_vtable;

/* A connection to the engine, made by the daemon. Reading and writing are
 * independent of each other. */
typedef struct rdd_connection {
  const struct rdd_connection_vtable *vtable;
} rdd_connection;

typedef struct rdd_connection_vtable {
  size_t size;
  /* Waits for the connection: RDD_READY, RDD_PENDING, or RDD_ERROR. To be called
   * until it returns RDD_READY, before reading and writing. */
  rdd_status (*poll_connect)(rdd_connection *connection, const rdd_waker *waker,
                             rdd_error *error);
  /* Reads at most `capacity` bytes, which must not be 0. RDD_READY: `*count`
   * bytes were read, at least one. RDD_END: the engine closed its side. Also
   * continues to send what was written. */
  rdd_status (*poll_read)(rdd_connection *connection, const rdd_waker *waker,
                          uint8_t *buffer, size_t capacity, size_t *count,
                          rdd_error *error);
  /* RDD_READY: `*count` bytes were accepted, at least one. */
  rdd_status (*poll_write)(rdd_connection *connection, const rdd_waker *waker,
                           rdd_bytes bytes, size_t *count, rdd_error *error);
  /* Waits until everything that was accepted has been sent. Needed only before
   * waiting for anything else than poll_read. */
  rdd_status (*poll_flush)(rdd_connection *connection, const rdd_waker *waker,
                           rdd_error *error);
  /* Sends the rest and half-closes the connection; reading goes on. */
  rdd_status (*poll_shutdown)(rdd_connection *connection, const rdd_waker *waker,
                              rdd_error *error);
  /* Closes the connection and frees it. Bytes that were accepted and not flushed
   * may be lost. */
  void (*close)(rdd_connection *connection);
} rdd_connection_vtable;

/* ---- The daemon ---------------------------------------------------------- */

/* A directory that the manifest asks for and the user has granted. */
typedef struct rdd_directory {
  rdd_bytes name; /* The name in the manifest. */
  rdd_bytes path; /* An absolute path of this machine. */
} rdd_directory;

enum { RDD_TRACE = 0, RDD_DEBUG = 1, RDD_INFO = 2, RDD_WARN = 3, RDD_LOG_ERROR = 4 };

/* The functions of the daemon for one instance, valid until destroy returns.
 * Every function may be called on any thread. */
typedef struct rdd_host {
  size_t size;
  uint32_t major; /* The version that both sides use. */
  uint32_t minor;
  /* The directories that the user granted. The daemon cannot keep the library
   * from opening other files, but a user expects that it does not. */
  const rdd_directory *directories;
  size_t directory_count;

  /* Writes a line to the daemon's log. Lines are truncated to 8 KiB, and excess
   * lines are dropped. */
  void (*log)(const struct rdd_host *host, uint32_t level, rdd_bytes message);
  /* The wall clock, in seconds since the Unix epoch and nanoseconds. */
  void (*now)(const struct rdd_host *host, int64_t *seconds, uint32_t *nanoseconds);
  /* Nanoseconds since an arbitrary time, by a clock that never jumps. */
  uint64_t (*monotonic_now)(const struct rdd_host *host);
  /* 64 random bits that nobody can predict. */
  uint64_t (*random)(const struct rdd_host *host);

  /* Creates a timer: a call that is ready, without a result, after at least
   * `nanoseconds`, at most an hour. An instance may have 4,096 timers. */
  rdd_status (*sleep)(const struct rdd_host *host, uint64_t nanoseconds,
                      rdd_call **timer, rdd_error *error);
  /* Creates a connection to the engine that is not connected yet. */
  rdd_status (*connect)(const struct rdd_host *host, rdd_connection **connection,
                        rdd_error *error);
  /* Requests the user's credentials for the registry of the image that this
   * instance pulls or pushes. The result is `option<credentials>` as JSON. */
  rdd_status (*get_credentials)(const struct rdd_host *host, rdd_bytes registry,
                                rdd_call **call, rdd_error *error);
} rdd_host;

/* ---- The library --------------------------------------------------------- */

/* An instance; what it is, only the library knows. */
typedef struct rdd_instance rdd_instance;

/* Begins a call. `parameters` is a JSON object. Returns RDD_READY with a new
 * object, RDD_ERROR, or RDD_PANIC. */
typedef rdd_status (*rdd_start_call)(rdd_instance *instance, rdd_bytes parameters,
                                     rdd_call **call, rdd_error *error);
typedef rdd_status (*rdd_start_stream)(rdd_instance *instance,
                                       rdd_bytes parameters, rdd_stream **stream,
                                       rdd_error *error);

/* The functions of the library. It lives as long as the process. */
typedef struct rdd_library {
  size_t size;
  /* The version that the library uses. These three fields are the same in all
   * versions of the ABI. */
  uint32_t major;
  uint32_t minor;

  /* Returns the `backend-info` as JSON, each time the same. Calls nothing of the
   * daemon. The text lives as long as the process. */
  rdd_status (*describe)(rdd_bytes *info, rdd_error *error);
  /* Creates an instance. Must not connect to the engine. */
  rdd_status (*create)(const rdd_host *host, rdd_instance **instance,
                       rdd_error *error);
  void (*destroy)(rdd_instance *instance);

  /*                                   parameters                  result */
  rdd_start_stream watch;           /* {}                                   */
  rdd_start_call ping;              /* {}                          nothing  */
  rdd_start_call inspect;           /* {"ref"}                     `inspection` */

  /* A function may be NULL if `backend-info` lacks its capability. */
  rdd_start_stream get_logs;        /* {"container", "options"}             */
  rdd_start_stream get_entries;     /* {"container", "options"}             */
  rdd_start_call act;               /* {"container", "action"}     nothing  */
  rdd_start_call remove;            /* {"removal"}                 nothing  */
  rdd_start_call create_container;  /* {"spec"}    the ID, as a JSON string */
  rdd_start_call create_volume;     /* {"spec"}  the name, as a JSON string */
  rdd_start_stream exec;            /* {"container", "options"}             */
  rdd_start_stream pull;            /* {"spec"}                             */
  rdd_start_stream push;            /* {"spec"}                             */
} rdd_library;

/* The one symbol that a library exports. The arguments are the version of the
 * daemon. The library returns the functions of the newest version that both
 * support, or of its own one if there is none: the daemon then names both
 * versions to the user. Never NULL. */
RDD_EXPORT const rdd_library *rdd_backend_library(uint32_t host_major,
                                                  uint32_t host_minor);

#ifdef __cplusplus
}
#endif

#endif
