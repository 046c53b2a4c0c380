//! The sentences of the WIT package that cases refer to.
//!
//! A test compares them with the package, so that none is out of date.

/// A sentence of the WIT package, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContractRule {
    /// The interface and the item.
    pub place: &'static str,
    /// The sentence, or the part of it that matters.
    pub sentence: &'static str,
}

macro_rules! rules {
    ($($name:ident = $place:literal, $sentence:literal;)*) => {
        $(pub(crate) const $name: ContractRule = ContractRule {
            place: $place,
            sentence: $sentence,
        };)*

        /// Returns every rule that a case refers to.
        pub fn all_rules() -> Vec<ContractRule> {
            vec![$($name),*]
        }
    };
}

rules! {
    DESCRIBE_STABLE = "engine.describe", "Never fails, calls no import, and returns the same value each time.";
    DESCRIBE_NAME = "engine.backend-info", "The name by which `App.spec.containerEngine.name` selects the backend";
    DESCRIBE_VERSION = "engine.backend-info", "The backend's own version, a semantic version.";
    DESCRIBE_NAMESPACES = "engine.backend-info", "The namespaces that always exist, at least one and at most 1,000";
    DESCRIBE_ID_FORM = "engine.id-form", "Exactly this number of lower-case hexadecimal digits, 1 to 253.";
    CAPABILITIES = "engine.capabilities", "The host rejects a call whose flag is not set, and the backend never gets it.";
    WATCH_LISTING = "engine.event", "A watch begins with a listing: `init-begin`, one `applied` for each object that exists, in any namespace, and `init-done`.";
    WATCH_CHANGES = "engine.event", "Each change follows as it happens.";
    WATCH_MISSED = "engine.event", "A backend that may have missed a change sends a complete new listing.";
    WATCH_REMOVED = "engine.event", "The object was removed.";
    WATCH_END = "engine.watch", "Ends when `stop` resolves or when the connection to the engine is lost; the returned future resolves with the reason.";
    INSPECT = "engine.inspect", "Returns the current state of one object.";
    INSPECT_ERRORS = "engine.inspect", "Errors: `not-found`, `unavailable`, `permission-denied`, `timeout`, `unsupported` (the engine does not have this kind), `internal`, `cancelled`.";
    INSPECT_RAW = "engine.inspection", "The engine's own JSON document about the object, without secrets";
    NAMESPACES = "types.container", "It is unique within its namespace.";
    NAMES = "types.container", "It may be any text without control characters.";
    ID_FORM = "types.container", "The engine's full ID, in the format `backend-info.id-form`.";
    STOP = "world", "Within a second, the backend closes what it opened for the call and returns `cancelled`; if the call has already returned a stream, it ends the stream and resolves the accompanying future with `cancelled`.";
    CONCURRENT = "world", "Calls run concurrently in one instance.";
    OUTPUT_BYTES = "types", "Only the bytes of output and of standard input may be anything.";
    CHUNK = "types.output-chunk", "A backend coalesces the bytes that are available into chunks of up to 64 KiB and never delays bytes to fill one.";
    LOG_FOLLOW = "logs.log-options", "Whether to continue after the last line with what the container writes next.";
    LOG_TAIL = "logs.log-options", "The number of lines from the end of the log; all lines if absent.";
    LOG_SINCE = "logs.log-options", "Selects lines written at or after this time.";
    LOG_UNTIL = "logs.log-options", "Selects lines written before this time. A followed log ends there.";
    LOG_TIMESTAMPS = "logs.log-options", "Whether to prefix each line with the engine's timestamp (RFC 3339 with nanoseconds) and a space.";
    LOG_STDOUT = "logs.log-options", "Whether to include standard output.";
    LOG_STDERR = "logs.log-options", "Whether to include standard error.";
    LOG_END = "logs.get-logs", "The stream ends with the log (`follow` is false, or the container stopped), when `stop` resolves, or on a failure; the returned future resolves with the reason.";
    LOG_ERRORS = "logs.get-logs", "Returns once the engine has begun to respond, so that an error of the engine is an error of this call.";
    BOTH_FORMS = "logs", "Both forms of one log have the same bytes: an entry is followed by a newline unless it is partial";
    ENTRY_LENGTH = "logs.entry-header", "A backend sends a longer entry in parts of exactly 65,536 bytes and a rest, all with the entry's time and all but the last partial.";
    ENTRY_TIMES = "engine.capabilities", "Without this flag, the time of every entry is 0, and a log cannot be resumed.";
    ENTRY_ORDER = "logs.get-entries", "That order is the same in each read of the log, wherever the read begins, also among entries with equal times.";
    ENTRY_AFTER = "logs.entry-options", "Begins after the entry at this position, with everything that follows it in the engine's order, also entries with an earlier time.";
    ENTRY_GAP = "logs.entry-options", "If the log no longer has the entry, the log begins with the oldest entry that it has, and the first batch has a `gap`.";
    ENTRY_INDEX = "logs.entry-position", "The number of entries with the same time that precede it in the engine's order, among the sources that the call selects.";
    ENTRY_TAIL = "logs.entry-options", "The number of lines from the end of the log; all lines if absent.";
    ENTRY_SINCE = "logs.entry-options", "Selects entries whose time is this or later.";
    ENTRY_UNTIL = "logs.entry-options", "Selects entries whose time is earlier than this. A followed log ends there.";
    ENTRY_PROMPT = "logs.entry-batch", "A backend puts the entries that are available into one batch and never delays an entry to fill it.";
    TERMINAL = "logs.get-entries", "The output of a terminal is one source, `stdout`.";
    ACT_IDEMPOTENT = "lifecycle.act", "Idempotent: starting a running container, stopping a stopped one, and pausing a paused one succeed without a change.";
    ACT_COMPLETE = "lifecycle.act", "Performs an action and returns when the engine has completed it";
    ACT_CONFLICT = "lifecycle.act", "`conflict` (the container's state does not allow it, with the engine's message)";
    NOT_FOUND = "types.error-code", "The engine does not have the object.";
    INVALID = "types.error-code", "An argument of the call is invalid; a retry cannot succeed.";
    UNAVAILABLE = "types.error-code", "The engine or a registry cannot be reached, or cannot serve the call now.";
    REMOVE_NOT_FOUND = "lifecycle.remove", "Errors: `not-found` (already removed)";
    REMOVE_REPLACED = "lifecycle.remove", "`replaced` (another object has the name now; nothing was changed)";
    REMOVE_NAMESPACE = "lifecycle.removal", "Objects of other namespaces are left alone, also if they have the same ID or name.";
    REMOVE_CONFLICT = "lifecycle.remove", "`conflict` (in use, with the engine's message)";
    CREATE = "lifecycle.create-container", "Creates a container and returns its full ID. Does not start it.";
    CREATE_ERRORS = "lifecycle.create-container", "Errors: `not-found` (the engine does not have the image), `conflict` (the name is in use)";
    CREATE_NAME = "lifecycle.container-spec", "The name; generated by the engine if absent.";
    CREATE_VOLUME = "lifecycle.create-volume", "Creates a volume and returns its name.";
    CREATE_VOLUME_ERRORS = "lifecycle.create-volume", "Errors: `conflict` (a volume of this name exists)";
    EXEC_EXIT = "processes.exec", "the future resolves with its exit code after it has exited and its output has ended.";
    EXEC_ORDER = "processes.exec", "The stream carries its output in the order in which the engine sends it";
    EXEC_HALF_CLOSE = "processes.exec", "The end of `stdin` half-closes it: the process reads the end of its input, and its output goes on.";
    EXEC_INPUT_CLOSED = "processes.exec", "A backend that can no longer write, for example because the process closed its input, drops `stdin`; the process goes on.";
    EXEC_INDEPENDENT = "processes.exec", "Input, output, and sizes are independent: a backend never stops reading one because another one waits.";
    EXEC_RESIZE = "processes.exec", "`resizes` has the size of the terminal, first soon after the call if the client knows it, then whenever it changes.";
    EXEC_CANNOT_RUN = "processes.exec", "A command that cannot be run is not an error: as in a shell, the exit code is 126 (not executable) or 127 (not found)";
    EXEC_SIGNAL = "processes.exec", "The exit code of a process that a signal ended is 128 plus the signal's number.";
    EXEC_STOP = "processes.exec", "The stream ends, and the future resolves with `cancelled`.";
    EXEC_ERRORS = "processes.exec", "Errors of the call: `not-found` (no such container), `conflict` (the container does not run, or is paused)";
    EXEC_TTY = "processes.exec-options", "Whether the process has a terminal. Its whole output is then `stdout`.";
    EXEC_OPTIONS = "processes.exec-options", "Environment variables, by name, besides those of the container.";
    EXEC_SOURCES = "processes.exec-options", "Whether to return the standard output. Without it and without `stderr`, only the exit code is returned.";
    PULL = "images.pull", "The future resolves when the engine has completed the transfer.";
    PULL_PROGRESS = "images.pull", "The stream carries the progress, a new value for a layer when its phase changes and otherwise at most ten per second";
    PULL_NOT_FOUND = "images.pull", "`not-found` (the registry does not have the image, or not for the platform)";
    PULL_STOP = "images.pull", "When `stop` resolves, the backend ends the transfer if the engine allows it, and stops waiting for it.";
    PUSH_NOT_FOUND = "images.push", "Errors: those of `pull`; `not-found` means that the engine does not have the image.";
    LAYER = "images.transfer-progress", "The engine's ID for the layer, at most 256 bytes.";
}
